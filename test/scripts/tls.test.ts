/** Calls over TLS between each pair of runtimes. */
import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import { CertificateAuthority } from "../support/certificates.ts";
import type { KeyPair } from "../support/certificates.ts";
import { RUNTIMES, startClient, startServer } from "../support/script.ts";
import type { Environment } from "../support/script.ts";

const owner = { after };
const authority = await CertificateAuthority.create(owner, "an authority");
const stranger = await CertificateAuthority.create(owner, "another authority");
const good = await authority.issue("server");
const client = await authority.issue("client");

function showing({ certificate, key }: KeyPair): Environment {
  return { GRPC_TLS_CERT: certificate, GRPC_TLS_KEY: key };
}

const trusting: Environment = { GRPC_TLS_CA: authority.certificate };
const mutual: Environment = { ...showing(good), ...trusting, GRPC_TLS_CLIENT_AUTH: "true" };

const EXPIRED =
  /^\S+\.pem: the certificate of CN=\S+ expired on 2020-01-02T00:00:00Z; put a valid one there\n?$/;

interface Case {
  readonly name: string;
  readonly server: Environment;
  readonly client: Environment;
  /** The error that the client prints; undefined if the call succeeds. */
  readonly reason?: RegExp;
  /** The script whose own certificate has expired, so that it prints a warning at start. */
  readonly expired?: "server" | "client";
}

const UNVERIFIED =
  "its certificate cannot be verified: it has expired, or its authority is missing in GRPC_TLS_CA";
/** A server refuses a client after the handshake, so most runtimes report only a closed connection. */
const REFUSED =
  /^(.*; it may require a valid client certificate \(GRPC_TLS_CERT\)|it refuses the client certificate in GRPC_TLS_CERT)$/;

const CASES: readonly Case[] = [
  { name: "a private authority", server: showing(good), client: trusting },
  { name: "a client certificate", server: mutual, client: { ...trusting, ...showing(client) } },
  {
    name: "a client certificate that nobody asks for",
    server: showing(good),
    client: { ...trusting, ...showing(client) },
  },
  {
    name: "an authority that is not known",
    server: showing(good),
    client: { GRPC_TLS_CA: stranger.certificate },
    reason: new RegExp(`^${UNVERIFIED}$`),
  },
  {
    name: "an expired certificate",
    server: showing(await authority.issue("expired", { expired: true })),
    client: trusting,
    reason: new RegExp(`^its certificate has expired$|^${UNVERIFIED}$`),
    expired: "server",
  },
  {
    name: "a certificate for another host",
    server: showing(await authority.issue("elsewhere", { hosts: ["DNS:elsewhere.example"] })),
    client: trusting,
    reason:
      /^Hostname\/IP does not match certificate's altnames: Host: localhost\. is not in the cert's altnames: DNS:elsewhere\.example$/,
  },
  {
    name: "no client certificate",
    server: mutual,
    client: trusting,
    reason: new RegExp(
      `^it asks for a client certificate: set GRPC_TLS_CERT$|${REFUSED.source}`,
    ),
  },
  {
    name: "a client certificate of another authority",
    server: mutual,
    client: { ...trusting, ...showing(await stranger.issue("stranger")) },
    reason: REFUSED,
  },
  {
    name: "an expired client certificate",
    server: mutual,
    client: { ...trusting, ...showing(await authority.issue("old-client", { expired: true })) },
    reason: REFUSED,
    expired: "client",
  },
  {
    name: "a server without TLS",
    server: {},
    client: trusting,
    reason: /^it does not speak TLS: leave out GRPC_TLS_CA$/,
  },
];

for (const serverRuntime of RUNTIMES) {
  suite(`a ${serverRuntime} server with TLS`, { timeout: 600_000 }, () => {
    for (const { name, server, client, reason, expired } of CASES) {
      test(name, async (t) => {
        const { script, address } = await startServer(t, serverRuntime, {
          ...server,
          // The default roots must not become part of the chain that a server sends.
          GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: stranger.certificate,
        });
        for (const runtime of RUNTIMES) {
          const environment = { ...client, ECHO_ADDR: named(address), ECHO_COUNT: "1" };
          const { script: caller } = await startClient(t, runtime, environment);
          const code = await caller.exit();
          if (reason === undefined) {
            assert.equal(code, 0, caller.stderr);
            assert.match(caller.stdout, /^message:/m);
            assert.equal(caller.stderr, "");
          } else {
            assert.equal(code, 1);
            const lines = caller.stderr.trimEnd().split("\n");
            if (expired === "client") assert.match(lines.shift()!, EXPIRED);
            assert.equal(lines.length, 1, caller.stderr);
            const [, said] = /^UNAVAILABLE: cannot connect: (.*)$/.exec(lines[0]!) ?? [];
            assert.match(said ?? lines[0]!, reason);
          }
        }
        assert.equal(await script.stop(), 0);
        assert.match(script.stderr, expired === "server" ? EXPIRED : /^$/);
      });
    }
  });
}

/** Returns the address with a host name, because certificates are checked for one. */
function named(address: string): string {
  return address.replace("127.0.0.1", "localhost");
}
