/** The calls of exporters, which a global registration leaves out: each would cause the next. */
import * as grpc from "@grpc/grpc-js";
import { context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { suppressTracing } from "@opentelemetry/core";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-grpc";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { echoClient, echoHandlers, echoService, listen, unary } from "../support/echo.ts";
import { eventuallyEqual } from "../support/eventually.ts";
import { Recording } from "../support/series.ts";

const bytes = (value: Buffer) => value;

function exportMethod(path: string): grpc.MethodDefinition<Buffer, Buffer> {
  return {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
}

/** A server of OTLP in this process that counts the exports it receives. */
async function startReceiver(t: TestContext) {
  const exports = { spans: 0, metrics: 0 };
  const receiver = new grpc.Server();
  receiver.addService({
    spans: exportMethod("/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
    metrics: exportMethod("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"),
  }, {
    spans: (_: unknown, reply: grpc.sendUnaryData<Buffer>) => {
      exports.spans++;
      reply(null, Buffer.alloc(0));
    },
    metrics: (_: unknown, reply: grpc.sendUnaryData<Buffer>) => {
      exports.metrics++;
      reply(null, Buffer.alloc(0));
    },
  });
  t.after(() => receiver.forceShutdown());
  return { exports, url: `http://127.0.0.1:${await listen(receiver)}` };
}

for (const hasContextManager of [false, true]) {
  const manager = hasContextManager ? "a" : "no";
  test(`exports are not recorded, with ${manager} context manager`, async (t) => {
    if (hasContextManager) {
      context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
      t.after(() => context.disable());
    }
    const { exports, url } = await startReceiver(t);
    const tracerProvider = new TracerProvider({
      spanProcessors: [new SimpleSpanProcessor({ exporter: new OTLPTraceExporter({ url }) })],
    });
    const exporter = new OTLPMetricExporter({ url });
    const meterProvider = new MeterProvider({
      readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })],
    });
    const recording = new Recording();
    const enableMetrics = ["grpc.subchannel.connection_attempts_succeeded"];
    const plugins = [
      new GrpcOpenTelemetry({ meterProvider, tracerProvider }),
      new GrpcOpenTelemetry({ meterProvider: recording.meterProvider, enableMetrics }),
    ];
    for (const otel of plugins) {
      otel.registerGlobal();
      const server = new grpc.Server();
      server.addService(echoService, echoHandlers);
      const client = echoClient(`localhost:${await listen(server)}`, {});
      assert.equal(await unary(client, "hello"), "hello");
      client.close();
      await new Promise((resolve) => server.tryShutdown(resolve));
      // Spans and metrics that are recorded of an export are exported too, and so on.
      for (let i = 0; i < 3; i++) {
        await tracerProvider.forceFlush();
        await meterProvider.forceFlush();
      }
      otel.deregisterGlobal();
    }
    // The spans of a call are those of the client, its attempt and the server.
    assert.deepEqual(exports, { spans: 3, metrics: 6 });
    const methods = await recording.valuesOf("grpc.method");
    assert.deepEqual(methods, ["grpc.examples.echo.Echo/UnaryEcho", undefined]);
    const connections = "grpc.subchannel.connection_attempts_succeeded{}";
    assert.equal((await recording.series())[connections], "1");
    await tracerProvider.shutdown();
    await meterProvider.shutdown();
  });
}

test("calls of a context that suppresses tracing are not recorded", async (t) => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  t.after(() => context.disable());
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider });
  otel.registerGlobal();
  t.after(() => otel.deregisterGlobal());
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  t.after(() => server.forceShutdown());
  const client = echoClient(`localhost:${await listen(server)}`, {});
  t.after(() => client.close());
  const started = async () => {
    const series = await recording.series();
    return ["client.attempt", "server.call"].map((side) =>
      series[`grpc.${side}.started{method=grpc.examples.echo.Echo/UnaryEcho}`]
    );
  };
  await context.with(suppressTracing(context.active()), () => unary(client, "hello"));
  // What its peer suppresses is not the server's concern.
  await eventuallyEqual(started, [undefined, "1"]);
  assert.equal(await unary(client, "hello"), "hello");
  await eventuallyEqual(started, ["1", "2"]);
});
