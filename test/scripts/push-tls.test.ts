/** Metrics pushed over TLS, by each runtime and with each protocol. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { OTLP_PROTOCOLS } from "../../telemetry/settings/variables.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import type { KeyPair } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { RecordingReceiver } from "./recording-receiver.ts";
import type { ReceiverTls } from "./recording-receiver.ts";
import { RUNTIMES, startServer } from "../support/script.ts";
import type { Environment } from "../support/script.ts";

const owner = { after };
const authority = await CertificateAuthority.create(owner, "an authority");
const stranger = await CertificateAuthority.create(owner, "another authority");
const client = await authority.issue("client");

/** The TLS settings of a Collector with a certificate. */
function tls(server: KeyPair, options: ReceiverTls = {}): ReceiverTls {
  return { cert: readFileSync(server.certificate), key: readFileSync(server.key), ...options };
}

const foreign = await stranger.issue("foreign");
const good = tls(await authority.issue("server"));
/** The TLS settings of a Collector that requires certificates of our clients. */
const mutual: ReceiverTls = {
  ...good,
  ca: readFileSync(authority.certificate),
  requestCert: true,
  rejectUnauthorized: true,
};

const trusting = { OTEL_EXPORTER_OTLP_CERTIFICATE: authority.certificate };

function showing({ certificate, key }: KeyPair): Environment {
  return {
    OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: certificate,
    OTEL_EXPORTER_OTLP_CLIENT_KEY: key,
  };
}

interface Case {
  readonly name: string;
  /** Undefined if it does not speak TLS. */
  readonly receiver?: ReceiverTls;
  readonly environment: Environment;
  /** Why exports fail; undefined if they succeed. */
  readonly reason?: RegExp;
}

const UNVERIFIED =
  /^its certificate cannot be verified: it has expired, or its authority is missing in OTEL_EXPORTER_OTLP_CERTIFICATE$/;

const CASES: readonly Case[] = [
  { name: "a private authority", receiver: good, environment: trusting },
  {
    name: "a client certificate",
    receiver: mutual,
    environment: { ...trusting, ...showing(client) },
  },
  {
    name: "files for metrics alone, which win",
    receiver: mutual,
    environment: {
      OTEL_EXPORTER_OTLP_CERTIFICATE: stranger.certificate,
      OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE: authority.certificate,
      ...showing(await stranger.issue("general")),
      OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE: client.certificate,
      OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY: client.key,
    },
  },
  { name: "an authority that is not known", receiver: good, environment: {}, reason: UNVERIFIED },
  {
    name: "another authority than is trusted",
    receiver: good,
    environment: { OTEL_EXPORTER_OTLP_CERTIFICATE: stranger.certificate },
    reason: UNVERIFIED,
  },
  {
    name: "an expired certificate",
    receiver: tls(await authority.issue("expired", { expired: true })),
    environment: trusting,
    reason: /^its certificate (has expired|cannot be verified: it has expired, .+)$/,
  },
  {
    name: "a certificate for another host",
    receiver: tls(await authority.issue("elsewhere", { hosts: ["DNS:elsewhere.example"] })),
    environment: trusting,
    reason:
      /^Hostname\/IP does not match certificate's altnames: Host: localhost\. is not in the cert's altnames: DNS:elsewhere\.example$/,
  },
  {
    name: "a Collector without TLS",
    environment: trusting,
    reason: /^it does not speak TLS: the endpoint has to begin with http:\/\/$/,
  },
  {
    name: "no client certificate where one is asked for",
    receiver: mutual,
    environment: trusting,
    reason: /client certificate/,
  },
  {
    name: "a client certificate of another authority",
    receiver: mutual,
    environment: { ...trusting, ...showing(await stranger.issue("client")) },
    reason: /client certificate/,
  },
];

for (const runtime of RUNTIMES) {
  suite(`${runtime} pushes over TLS`, { concurrency: 2, timeout: 300_000 }, () => {
    for (const protocol of OTLP_PROTOCOLS) {
      for (const { name, receiver: tls, environment, reason } of CASES) {
        test(`${protocol}: ${name}`, async (t) => {
          const receiver = await RecordingReceiver.start(t, protocol, tls);
          const { script } = await startServer(t, runtime, {
            OTEL_METRICS_EXPORTER: "otlp",
            OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
            OTEL_EXPORTER_OTLP_ENDPOINT: `https://${receiver.host}`,
            OTEL_METRIC_EXPORT_INTERVAL: "500",
            ...environment,
          });
          if (reason === undefined) {
            await eventually(() => assert.ok(receiver.requests.length >= 2), 30_000);
            assert.equal(await script.stop(), 0);
            assert.equal(script.stderr, "");
            return;
          }
          const complaint = await script.printedError(
            /cannot be delivered to \S+: (.*); recording/,
          );
          assert.match(complaint, reason);
          assert.equal(await script.stop(), 0);
          assert.match(script.stderr, /^telemetry: .*\ntelemetry: the last metrics .*\n$/);
          assert.deepEqual(receiver.requests, []);
        });
      }
    }

    for (const protocol of OTLP_PROTOCOLS) {
      test(`${protocol}: new certificates are used without a restart`, async (t) => {
        const folder = await mkdtemp(join(tmpdir(), "push-reload-"));
        t.after(() => rm(folder, { recursive: true }));
        const path = (name: string) => join(folder, name);
        const place = async (ca: CertificateAuthority, { certificate, key }: KeyPair) => {
          await copyFile(ca.certificate, path("ca.pem"));
          await copyFile(certificate, path("client.pem"));
          await copyFile(key, path("client.key"));
        };
        await place(stranger, foreign);
        const receiver = await RecordingReceiver.start(t, protocol, mutual);
        const { script } = await startServer(t, runtime, {
          OTEL_METRICS_EXPORTER: "otlp",
          OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
          OTEL_EXPORTER_OTLP_ENDPOINT: `https://${receiver.host}`,
          OTEL_METRIC_EXPORT_INTERVAL: "500",
          OTEL_EXPORTER_OTLP_CERTIFICATE: path("ca.pem"),
          ...showing({ certificate: path("client.pem"), key: path("client.key") }),
        });
        await script.printedError(/cannot be delivered to/);
        await place(authority, client);
        await script.printedError(/changed: the new content is in use/);
        await eventually(() => assert.ok(receiver.requests.length >= 2), 30_000);
        assert.equal(await script.stop(), 0);
        assert.doesNotMatch(script.stderr, /the last metrics/);
      });
    }

    test("grpc: an IP address works, or the error says that it does not", async (t) => {
      const receiver = await RecordingReceiver.start(t, "grpc", good);
      const { script } = await startServer(t, runtime, {
        OTEL_METRICS_EXPORTER: "otlp",
        OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
        OTEL_EXPORTER_OTLP_ENDPOINT: `https://${receiver.host.replace("localhost", "127.0.0.1")}`,
        OTEL_METRIC_EXPORT_INTERVAL: "500",
        ...trusting,
      });
      if (runtime === "node") {
        await eventually(() => assert.ok(receiver.requests.length >= 2), 30_000);
      } else {
        await script.printedError(
          /: gRPC with TLS needs the name of its host in the endpoint, not an /,
        );
      }
    });
  });
}
