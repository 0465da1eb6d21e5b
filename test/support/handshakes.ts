/** What tests of TLS handshakes share: certificates with each fault, and the series of both sides. */
import { ServerCredentials } from "@grpc/grpc-js";
import { readFileSync } from "node:fs";
import { METRIC_NAMES } from "../../plugin/metrics/definitions.ts";
import { CertificateAuthority } from "./certificates.ts";
import type { KeyPair } from "./certificates.ts";
import type { Owner } from "./script.ts";
import type { Recording } from "./series.ts";

/** The names of the metrics of gRFC A118 and gRFC A80. */
export const CONNECTION_METRICS = METRIC_NAMES.filter((name) => /\.tls\.|\.tcp\./.test(name));

const DAY_MS = 86_400_000;

/** Creates an authority, and certificates of it and of others. */
export async function certificates(owner: Owner) {
  const [authority, stranger] = await Promise.all([
    CertificateAuthority.create(owner, "authority"),
    CertificateAuthority.create(owner, "stranger"),
  ]);
  const from = new Date(Date.now() + DAY_MS);
  const [good, expired, future, otherHost, revoked, foreign] = await Promise.all([
    authority.issue("good"),
    authority.issue("expired", { expired: true }),
    authority.issue("future", { from, until: new Date(from.getTime() + DAY_MS) }),
    authority.issue("other-host", { hosts: ["DNS:example.com"] }),
    authority.issue("revoked"),
    stranger.issue("foreign"),
  ]);
  return {
    root: readFileSync(authority.certificate),
    rootPath: authority.certificate,
    strangerRoot: readFileSync(stranger.certificate),
    revocations: readFileSync(await authority.revoke(revoked)),
    selfSigned: { certificate: stranger.certificate, key: stranger.key },
    ...{ good, expired, future, otherHost, revoked, foreign },
  };
}

/** Returns credentials of a server. */
export function serverCredentials(
  root: Buffer,
  { certificate, key }: KeyPair,
  requiresClients = false,
): ServerCredentials {
  const pair = { cert_chain: readFileSync(certificate), private_key: readFileSync(key) };
  return ServerCredentials.createSsl(root, [pair], requiresClients);
}

/** Returns the series of one side's handshakes: the number of each result. */
export async function handshakesOf(
  recording: Recording,
  side: "client" | "server",
): Promise<Record<string, string>> {
  const prefix = `grpc.${side}.tls.handshakes{tls.handshake.result=`;
  return Object.fromEntries(
    Object.entries(part(await recording.series(), prefix))
      .map(([labels, count]) => [labels.slice(0, -1), count]),
  );
}

/** Returns the series of gRFC A80 without the prefix of their names. */
export async function tcpSeries(recording: Recording): Promise<Record<string, string>> {
  return part(await recording.series(), "grpc.tcp.");
}

function part(series: Record<string, string>, prefix: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(series)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length), value]),
  );
}
