/** What the `OTEL_EXPORTER_OTLP_*` variables do, as a Collector sees it, and what is never shown. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { OTLP_PROTOCOLS } from "../../otlp/protocols.ts";
import type { OtlpProtocol } from "../../otlp/protocols.ts";
import { eventually } from "../support/eventually.ts";
import { RecordingReceiver } from "../support/recording-receiver.ts";
import type { ExportRequest } from "../support/recording-receiver.ts";
import { run, RUNTIMES, Script, startServer } from "../support/script.ts";

const SECRET = "s3cret";
const CONTENT_TYPES = {
  "http/json": "application/json",
  "http/protobuf": "application/x-protobuf",
  "grpc": "application/grpc",
};
/** Any other protocol than this one. */
const OTHER = { "http/json": "grpc", "http/protobuf": "http/json", "grpc": "http/json" };
const EVERY_500_MS = { OTEL_METRICS_EXPORTER: "otlp", OTEL_METRIC_EXPORT_INTERVAL: "500" };

async function firstRequest({ requests }: RecordingReceiver): Promise<ExportRequest> {
  return await eventually(() => requests[0] ?? assert.fail("no request yet"), 30_000);
}

/** The message in a request, and whether it was compressed. */
function read(protocol: OtlpProtocol, { headers, body }: ExportRequest) {
  const compressed = protocol === "grpc" ? body[0] === 1 : headers["content-encoding"] === "gzip";
  const message = protocol === "grpc" ? body.subarray(5) : body;
  return { compressed, message: (compressed ? gunzipSync(message) : message).toString("latin1") };
}

for (const runtime of RUNTIMES) {
  suite(runtime, { concurrency: 2, timeout: 300_000 }, () => {
    for (const protocol of OTLP_PROTOCOLS) {
      test(`${protocol}: gzip, headers, and a base path, all of them general`, async (t) => {
        const receiver = await RecordingReceiver.start(t, protocol);
        const { script } = await startServer(t, runtime, {
          ...EVERY_500_MS,
          OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://${receiver.host}${
            protocol === "grpc" ? "" : "/base"
          }`,
          OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
          OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${SECRET},X-Tenant=a%2Cb%3Dc`,
          OTEL_LOG_LEVEL: "all",
        });
        const request = await firstRequest(receiver);
        const { compressed, message } = read(protocol, request);
        assert.equal(compressed, true);
        assert.match(message, /process\.cpu/);
        assert.equal(request.headers["content-type"], CONTENT_TYPES[protocol]);
        assert.equal(request.headers["authorization"], `Bearer ${SECRET}`);
        assert.equal(request.headers["x-tenant"], "a,b=c");
        assert.equal(
          request.path,
          protocol === "grpc"
            ? "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
            : "/base/v1/metrics",
        );
        assert.equal(await script.stop(), 0);
        assert.match(script.stderr, /OpenTelemetry debug:/);
        assert.doesNotMatch(script.stdout + script.stderr, new RegExp(SECRET));
      });

      test(`${protocol}: what is set for metrics alone wins`, async (t) => {
        const receiver = await RecordingReceiver.start(t, protocol);
        const path = protocol === "grpc" ? "" : "/as/it/is";
        const { script, metricsUrl } = await startServer(t, runtime, {
          ...EVERY_500_MS,
          OTEL_EXPORTER_OTLP_PROTOCOL: OTHER[protocol],
          OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: protocol,
          OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1",
          OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `http://${receiver.host}${path}`,
          OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
          OTEL_EXPORTER_OTLP_METRICS_COMPRESSION: "none",
          OTEL_EXPORTER_OTLP_HEADERS: "x-both=general,x-general=1",
          OTEL_EXPORTER_OTLP_METRICS_HEADERS: "x-both=metrics,x-metrics=2",
        });
        assert.equal(metricsUrl, `http://${receiver.host}${path} (${protocol}), every 0.5 s`);
        const request = await firstRequest(receiver);
        const { compressed, message } = read(protocol, request);
        assert.equal(compressed, false);
        assert.match(message, /process\.cpu/);
        assert.equal(request.headers["content-type"], CONTENT_TYPES[protocol]);
        assert.equal(request.headers["x-both"], "metrics");
        assert.equal(request.headers["x-general"], "1");
        assert.equal(request.headers["x-metrics"], "2");
        if (path) assert.equal(request.path, path);
        assert.equal(await script.stop(), 0);
        assert.equal(script.stderr, "");
      });

      test(`${protocol}: an export that gets no answer ends after the timeout for metrics`, async (t) => {
        const receiver = await RecordingReceiver.start(t, protocol);
        receiver.answers = false;
        const { script } = await startServer(t, runtime, {
          OTEL_METRICS_EXPORTER: "otlp",
          OTEL_METRIC_EXPORT_INTERVAL: "5000",
          OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://${receiver.host}`,
          OTEL_EXPORTER_OTLP_TIMEOUT: "60000",
          OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: "800",
        });
        await firstRequest(receiver);
        const startedMs = performance.now();
        await script.complained(
          /cannot be delivered to \S+: .*(no answer within 0\.8 s|DEADLINE_EXCEEDED)/,
        );
        const elapsedMs = performance.now() - startedMs;
        // The other limits are the interval, 5 s, and the general timeout.
        assert.ok(elapsedMs > 400 && elapsedMs < 4000, `${elapsedMs} ms`);
      });
    }

    test("failing, at every level of the log, no header and no password is shown", async (t) => {
      const { script } = await startServer(t, runtime, {
        ...EVERY_500_MS,
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://user:${SECRET}@127.0.0.1:1`,
        OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${SECRET}`,
        OTEL_EXPORTER_OTLP_METRICS_HEADERS: `x-key=${SECRET}`,
        OTEL_LOG_LEVEL: "all",
      });
      await script.complained(/delivered to http:\/\/\*\*\*@127\.0\.0\.1:1\/v1\/metrics: /);
      assert.equal(await script.stop(), 0);
      assert.match(script.stderr, /OpenTelemetry debug:/);
      assert.doesNotMatch(script.stdout + script.stderr, new RegExp(SECRET));
    });

    for (const headers of [`key=${SECRET}%0Ax`, `k y=${SECRET}`, `key-bin=${SECRET}`, SECRET]) {
      test(`headers that cannot be sent, ${headers}, are refused unseen`, async (t) => {
        const script = new Script(t, run(runtime, "server.ts"), {
          environment: {
            ...EVERY_500_MS,
            OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
            OTEL_EXPORTER_OTLP_METRICS_HEADERS: headers,
          },
        });
        assert.equal(await script.exit(), 1);
        assert.equal(
          script.stderr,
          "OTEL_EXPORTER_OTLP_METRICS_HEADERS=(not shown): must be name=value pairs separated by " +
            "commas, in characters that headers can have, values percent-encoded\n",
        );
      });
    }
  });
}
