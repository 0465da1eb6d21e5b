import { readFileSync } from "node:fs";
import { CertificateAuthority } from "../../support/certificates.ts";
import { startClient, startServer } from "../../support/script.ts";
import type { Owner } from "../../support/script.ts";
import { startNewConnections } from "./new-connections.ts";

/** How long the server waits before it answers, in seconds. */
export const DELAY_S = 0.1;
/** The calls that each client has in flight. */
export const CONCURRENCY = 4;

/**
 * Starts a server, a client whose calls succeed, a client whose deadline is too short, and one that
 * connects for each call and trusts the server half of the time. All metrics are on.
 *
 * @param native Whether the durations are native histograms.
 * @returns The server's address, and the URLs of `/metrics` pages by job.
 */
export async function startCalls(owner: Owner, native = false) {
  const [authority, stranger] = await Promise.all([
    CertificateAuthority.create(owner, "authority"),
    CertificateAuthority.create(owner, "stranger"),
  ]);
  const { certificate, key } = await authority.issue("server");
  const metrics = {
    GRPC_METRICS_ENABLED: "grpc.*",
    GRPC_METRICS_NATIVE_HISTOGRAMS: `${native}`,
  };
  const server = await startServer(owner, "node", {
    ...metrics,
    ECHO_DELAY_MS: `${DELAY_S * 1000}`,
    GRPC_TLS_CERT: certificate,
    GRPC_TLS_KEY: key,
  });
  const tls = { ...metrics, GRPC_TLS_CA: authority.certificate };
  const clients = await Promise.all([
    startClient(owner, "node", {
      ...tls,
      ECHO_ADDR: server.address,
      ECHO_METHOD: "UnaryEcho",
      ECHO_CONCURRENCY: `${CONCURRENCY}`,
    }),
    startClient(owner, "node", {
      ...tls,
      ECHO_ADDR: server.address,
      ECHO_METHOD: "ServerStreamingEcho",
      ECHO_CONCURRENCY: `${CONCURRENCY}`,
      ECHO_DEADLINE_MS: "50",
    }),
  ]);
  const roots = [authority, stranger].map((each) => readFileSync(each.certificate));
  return {
    address: server.address,
    jobs: {
      "echo-server": [server.metricsUrl],
      "echo-client": [
        ...clients.map((client) => client.metricsUrl),
        await startNewConnections(owner, server.address, roots, native),
      ],
    },
  };
}
