/** Exports over gRPC arrive for each form of the endpoint, and its form decides about TLS. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, suite, test } from "node:test";
import { CertificateAuthority } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { PROJECT, RUNTIMES, startClient, startServer } from "../support/script.ts";
import type { Environment } from "../support/script.ts";
import { RecordingReceiver } from "./recording-receiver.ts";

const owner = { after };
const authority = await CertificateAuthority.create(owner, "an authority");
const { certificate, key } = await authority.issue("collector");
const TLS = { cert: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
const TRUST = { OTEL_EXPORTER_OTLP_CERTIFICATE: authority.certificate };
const INSECURE = { OTEL_EXPORTER_OTLP_INSECURE: "true" };

const folder = mkdtempSync(join(tmpdir(), "grpc-endpoints-"));
after(() => rmSync(folder, { recursive: true }));
let sockets = 0;

const PUSH: Environment = {
  OTEL_METRICS_EXPORTER: "otlp",
  OTEL_METRIC_EXPORT_INTERVAL: "1000",
  OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
};

interface Case {
  readonly name: string;
  /** Returns the endpoint for `localhost:port`, or for the path of a socket. */
  readonly endpoint: (address: string) => string;
  /** Returns the URL that is shown. */
  readonly shown: (address: string) => string;
  readonly isSocket?: boolean;
  readonly tls?: typeof TLS;
  readonly environment?: Environment;
}

const CASES: readonly Case[] = [
  {
    name: "host:port without TLS",
    endpoint: (host) => host,
    shown: (host) => `http://${host}`,
    environment: INSECURE,
  },
  {
    name: "dns:///host:port without TLS, for metrics only",
    endpoint: (host) => `dns:///${host}`,
    shown: (host) => `http://${host}`,
    environment: { OTEL_EXPORTER_OTLP_METRICS_INSECURE: "true" },
  },
  {
    name: "host:port with TLS",
    endpoint: (host) => host,
    shown: (host) => `https://${host}`,
    tls: TLS,
    environment: TRUST,
  },
  {
    name: "https:// with TLS, in spite of OTEL_EXPORTER_OTLP_INSECURE",
    endpoint: (host) => `https://${host}`,
    shown: (host) => `https://${host}`,
    tls: TLS,
    environment: { ...TRUST, ...INSECURE },
  },
  {
    name: "HTTP:// without TLS",
    endpoint: (host) => `HTTP://${host}`,
    shown: (host) => `http://${host}`,
  },
  {
    name: "unix:///path without TLS",
    endpoint: (path) => `unix://${path}`,
    shown: (path) => `unix://${path}`,
    isSocket: true,
  },
  {
    name: "unix:path without TLS",
    endpoint: (path) => `unix:${relative(PROJECT, path)}`,
    shown: (path) => `unix://${path}`,
    isSocket: true,
    environment: INSECURE,
  },
  {
    name: "unix:/path with TLS",
    endpoint: (path) => `unix:${path}`,
    shown: (path) => `unix://${path}`,
    isSocket: true,
    tls: TLS,
    environment: { ...TRUST, OTEL_EXPORTER_OTLP_INSECURE: "false" },
  },
];

for (const runtime of RUNTIMES) {
  suite(runtime, { concurrency: 2, timeout: 300_000 }, () => {
    for (const { name, endpoint, shown, isSocket, tls, environment } of CASES) {
      test(`exports arrive: ${name}`, async (t) => {
        const socket = isSocket ? join(folder, `${sockets++}.sock`) : undefined;
        const receiver = await RecordingReceiver.start(t, "grpc", tls, socket);
        const address = socket ?? receiver.host;
        const { script, metricsUrl } = await startServer(t, runtime, {
          ...PUSH,
          ...environment,
          OTEL_EXPORTER_OTLP_ENDPOINT: endpoint(address),
          OTEL_EXPORTER_OTLP_HEADERS: ",x-first=1,, x-second=2%2C;3 ,",
        });
        assert.equal(metricsUrl, `${shown(address)} (grpc), every 1 s`);
        const { path, headers } = await eventually(
          () => receiver.requests[0] ?? assert.fail(`no export\n${script.stderr}`),
          30_000,
        );
        assert.equal(path, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");
        assert.equal(headers["x-first"], "1");
        assert.equal(headers["x-second"], "2,;3");
        assert.equal(await script.stop(), 0);
        assert.equal(script.stderr, "");
      });
    }

    test("spans arrive at a socket, and metrics elsewhere over HTTP", async (t) => {
      const socket = join(folder, `${sockets++}.sock`);
      const collector = await RecordingReceiver.start(t, "grpc", undefined, socket);
      const http = await RecordingReceiver.start(t, "http/json");
      const { script, address } = await startServer(t, runtime, {
        ...PUSH,
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://${http.host}`,
        OTEL_TRACES_EXPORTER: "otlp",
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "grpc",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `unix:${socket}`,
        OTEL_EXPORTER_OTLP_HEADERS: ", x-first=2;3",
      });
      await script.printed(new RegExp(`^Traces at unix://${socket} \\(grpc\\)$`, "m"));
      const client = await startClient(t, runtime, { ECHO_ADDR: address, ECHO_COUNT: "1" });
      assert.equal(await client.script.exit(), 0);
      assert.equal(await script.stop(), 0);
      const paths = new Set(collector.requests.map(({ path }) => path));
      const service = "opentelemetry.proto.collector.trace.v1.TraceService";
      assert.deepEqual([...paths], [`/${service}/Export`]);
      for (const { requests } of [collector, http]) {
        assert.equal(requests[0]!.headers["x-first"], "2;3");
      }
      assert.equal(script.stderr, "");
    });

    test("host:port without OTEL_EXPORTER_OTLP_INSECURE expects TLS, and says so", async (t) => {
      const receiver = await RecordingReceiver.start(t, "grpc");
      const { script } = await startServer(t, runtime, {
        ...PUSH,
        // A slow handshake must not be the first failure.
        OTEL_METRIC_EXPORT_INTERVAL: "3000",
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.host,
      });
      await script.printedError(
        new RegExp(`metrics cannot be delivered to https://${receiver.host}: .*http://`),
      );
    });
  });
}
