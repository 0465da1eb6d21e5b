/** What a Collector receives with each `OTEL_EXPORTER_OTLP_*` variable, and what is never printed. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { OTLP_PROTOCOLS } from "../../telemetry/settings/variables.ts";
import type { OtlpProtocol } from "../../telemetry/settings/variables.ts";
import { eventually } from "../support/eventually.ts";
import { RecordingReceiver } from "./recording-receiver.ts";
import type { ExportRequest } from "./recording-receiver.ts";
import { run, RUNTIMES, Script, startClient, startServer } from "../support/script.ts";

const SECRET = "s3cret";
const CONTENT_TYPES = {
  "http/json": "application/json",
  "http/protobuf": "application/x-protobuf",
  "grpc": "application/grpc",
};
/** For each protocol, another one. */
const OTHER = { "http/json": "grpc", "http/protobuf": "http/json", "grpc": "http/json" };
const EVERY_500_MS = { OTEL_METRICS_EXPORTER: "otlp", OTEL_METRIC_EXPORT_INTERVAL: "500" };

async function firstRequest({ requests }: RecordingReceiver): Promise<ExportRequest> {
  return await eventually(() => requests[0] ?? assert.fail("no request yet"), 30_000);
}

/** Returns the message in a request, and whether it was compressed. */
function read(protocol: OtlpProtocol, { headers, body }: ExportRequest) {
  const compressed = protocol === "grpc" ? body[0] === 1 : headers["content-encoding"] === "gzip";
  const message = protocol === "grpc" ? body.subarray(5) : body;
  return { compressed, message: (compressed ? gunzipSync(message) : message).toString("latin1") };
}

for (const runtime of RUNTIMES) {
  suite(runtime, { concurrency: 2, timeout: 300_000 }, () => {
    for (const protocol of OTLP_PROTOCOLS) {
      test(`${protocol}: the variables for both signals set gzip, headers and a base path`, async (t) => {
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

      test(`${protocol}: variables for metrics only override those`, async (t) => {
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
        assert.equal(metricsUrl, `http://${receiver.host} (${protocol}), every 0.5 s`);
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

      test(`${protocol}: an export without an answer ends after the timeout for metrics`, async (t) => {
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
        await script.printedError(
          /cannot be delivered to \S+: .*(no answer within 0\.8 s|DEADLINE_EXCEEDED)/,
        );
        const elapsedMs = performance.now() - startedMs;
        // The other limits are the interval, 5 s, and the timeout for both signals.
        assert.ok(elapsedMs > 400 && elapsedMs < 4000, `${elapsedMs} ms`);
      });
    }

    for (const protocol of OTLP_PROTOCOLS) {
      test(`${protocol}: no secret is shown when exports fail, at any log level`, async (t) => {
        const { script } = await startServer(t, runtime, {
          ...EVERY_500_MS,
          OTEL_TRACES_EXPORTER: "otlp",
          OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
          OTEL_EXPORTER_OTLP_METRICS_ENDPOINT:
            `http://user:${SECRET}@127.0.0.1:1/${SECRET}?key=${SECRET}#${SECRET}`,
          // The "/" ends the host, so 127.0.0.1, meant as the user name, is the host and 1 the port.
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:1/${SECRET}@collector:4318`,
          OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${SECRET}`,
          OTEL_EXPORTER_OTLP_METRICS_HEADERS: `x-key=${SECRET}`,
          OTEL_LOG_LEVEL: "all",
        });
        await script.printed(/^Metrics at http:\/\/127\.0\.0\.1:1 \(/m);
        await script.printed(/^Traces at http:\/\/127\.0\.0\.1:1 \(/m);
        await script.printedError(/metrics cannot be delivered to http:\/\/127\.0\.0\.1:1: /);
        assert.equal(await script.stop(), 0);
        assert.match(
          script.stderr,
          /last metrics could not be delivered to http:\/\/127\.0\.0\.1:1,/,
        );
        assert.match(script.stderr, /OpenTelemetry debug:/);
        assert.doesNotMatch(script.stdout + script.stderr, new RegExp(SECRET, "i"));
      });
    }

    for (const endpoint of [`http://user:${SECRET}@127.0.0.1:1 `, `user:${SECRET}@127.0.0.1:1`]) {
      test(`an endpoint that is no URL, ${JSON.stringify(endpoint)}, is refused and not shown`, async (t) => {
        const script = new Script(t, run(runtime, "server.ts"), {
          environment: { ...EVERY_500_MS, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint },
        });
        assert.equal(await script.exit(), 1);
        assert.equal(
          script.stderr,
          "OTEL_EXPORTER_OTLP_ENDPOINT=(not shown): must be a URL that begins with http:// or " +
            "https://; with grpc also host:port, unix:path or unix:///path\n",
        );
      });
    }

    for (const proxy of [`${SECRET}:x@127.0.0.1:1`, `http://user:${SECRET}/x@127.0.0.1:1`]) {
      test(`a malformed proxy URL, ${proxy}, is not shown`, async (t) => {
        const { script } = await startClient(t, runtime, {
          grpc_proxy: proxy,
          HTTP_PROXY: proxy,
          no_grpc_proxy: "",
          // With this variable, Node and Bun refuse such a URL before a script runs.
          ...(runtime === "deno" && { NODE_USE_ENV_PROXY: "1" }),
          NO_PROXY: "",
          // An address for documentation, so that each runtime uses the proxy.
          ECHO_ADDR: "192.0.2.1:50051",
          ECHO_COUNT: "1",
          ECHO_DEADLINE_MS: "500",
          ...EVERY_500_MS,
          OTEL_EXPORTER_OTLP_ENDPOINT: "http://192.0.2.1:4318",
          OTEL_METRIC_EXPORT_TIMEOUT: "500",
          OTEL_LOG_LEVEL: "all",
        });
        assert.equal(await script.exit(), 1);
        assert.match(script.stderr, /grpc_proxy/);
        assert.match(script.stderr, /the last metrics could not be delivered/);
        assert.doesNotMatch(script.stdout + script.stderr, new RegExp(SECRET, "i"));
      });
    }

    for (const headers of [`key=${SECRET}%0Ax`, `k y=${SECRET}`, `key-bin=${SECRET}`, SECRET]) {
      test(`headers that cannot be sent, ${headers}, are refused and not shown`, async (t) => {
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
