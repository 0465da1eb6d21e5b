/** The variables that choose what is recorded, and under which names. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { exportedMetrics } from "../foreign/otlp-metrics.ts";
import { eventually } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { RUNTIMES, startClient, startServer } from "../support/script.ts";
import { healthOf, reflectionOf } from "../support/server-services.ts";
import { seriesOf, valuesOf } from "../support/series.ts";
import { RecordingReceiver } from "./recording-receiver.ts";

const ECHO = "grpc.examples.echo.Echo";
const RPC = "rpc.client.call.duration";
const GRPC = "grpc.client.call.duration";

/** Returns the printed counts of a histogram: the values of a label, and the count. */
function counts(text: string, family: string, label: string): Record<string, string> {
  const lines = text.matchAll(new RegExp(`^${family}_count\\{(.*)\\} (\\d+)$`, "gm"));
  return Object.fromEntries(
    [...lines].map(([, labels = "", count = ""]) => [
      new RegExp(`${label}="([^"]*)"`).exec(labels)?.[1] ?? "none",
      count,
    ]),
  );
}

for (const runtime of RUNTIMES) {
  test(`${runtime}: OTEL_SEMCONV_STABILITY_OPT_IN=rpc/dup prints both names, and rpc pushes one`, async (t) => {
    const receiver = await RecordingReceiver.start(t, "http/json");
    const server = await startServer(t, runtime, {
      // The first name is that of another convention; rpc/dup comes before rpc.
      OTEL_SEMCONV_STABILITY_OPT_IN: "http,rpc,rpc/dup",
    });
    const client = await startClient(t, runtime, {
      ECHO_ADDR: server.address,
      ECHO_COUNT: "3",
      ECHO_INTERVAL_MS: "0",
      OTEL_SEMCONV_STABILITY_OPT_IN: "rpc",
      OTEL_METRICS_EXPORTER: "otlp",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${receiver.host}`,
    });
    assert.equal(await client.script.exit(), 0, client.script.stderr);

    const text = await scrape(server.metricsUrl);
    const method = { [`${ECHO}/UnaryEcho`]: "3" };
    assert.deepEqual(counts(text, "rpc_server_call_duration_seconds", "rpc_method"), method);
    assert.deepEqual(counts(text, "grpc_server_call_duration_seconds", "grpc_method"), method);

    const pushed = exportedMetrics(receiver.requests);
    const names = pushed.map(({ descriptor }) => descriptor.name);
    assert.ok(names.includes(RPC) && !names.includes(GRPC), names.join());
    assert.ok(names.includes("grpc.client.attempt.started"), names.join());
    const durations = pushed.filter(({ descriptor }) => descriptor.name === RPC);
    assert.deepEqual(Object.values(seriesOf(durations)), ["3"]);
    for (
      const [label, value] of Object.entries({
        "rpc.system.name": "grpc",
        "rpc.method": `${ECHO}/UnaryEcho`,
        "rpc.response.status_code": "OK",
        "server.address": "127.0.0.1",
        "error.type": undefined,
      })
    ) {
      assert.deepEqual(valuesOf(durations, label), [value], label);
    }
  });

  test(`${runtime}: GRPC_METRICS_ENABLED adds metrics, and GRPC_METRICS_OPTIONAL_LABELS labels`, async (t) => {
    const { address, metricsUrl } = await startServer(t, runtime, {
      GRPC_METRICS_ENABLED: "grpc.tcp.*",
      GRPC_METRICS_OPTIONAL_LABELS: "network.local.*",
    });
    assert.deepEqual(await healthOf(address, [""]), ["SERVING"]);
    const text = await scrape(metricsUrl);
    const port = new URL(`http://${address}`).port;
    assert.match(
      text,
      new RegExp(
        `^grpc_tcp_connections_created_total\\{.*network_local_port="${port}".*\\} 1$`,
        "m",
      ),
    );
  });

  test(`${runtime}: GRPC_METRICS_EXCLUDED_METHODS leaves out health checks and reflection`, async (t) => {
    const { address, metricsUrl } = await startServer(t, runtime, {
      GRPC_METRICS_EXCLUDED_METHODS:
        "grpc.health.v1.Health/Check,grpc.reflection.v1.ServerReflection/*",
    });
    assert.deepEqual(await healthOf(address, [""]), ["SERVING"]);
    await reflectionOf(address, ECHO);
    const client = await startClient(t, runtime, { ECHO_ADDR: address, ECHO_COUNT: "1" });
    assert.equal(await client.script.exit(), 0, client.script.stderr);
    await eventually(async () => {
      const text = await scrape(metricsUrl);
      assert.deepEqual(counts(text, "grpc_server_call_duration_seconds", "grpc_method"), {
        [`${ECHO}/UnaryEcho`]: "1",
      });
    });
  });
}
