/** The headers of `OTEL_PROPAGATORS` on the wire, as a client writes and a server reads them. */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { context, trace } from "@opentelemetry/api";
import { startTelemetry } from "../../telemetry.ts";
import { RecordingReceiver } from "../scripts/recording-receiver.ts";
import type { Owner } from "../support/script.ts";

const identity = (bytes: Buffer) => bytes;
const SERVICE = {
  Call: {
    path: "/test.Service/Call",
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
};
const Client = grpc.makeGenericClientConstructor(SERVICE, "Service");

/** Calls a method of a server, both with telemetry. Returns what the handler saw. */
async function call(owner: Owner, propagators: string, sent: Record<string, string> = {}) {
  const receiver = await RecordingReceiver.start(owner, "http/json");
  Object.assign(process.env, {
    OTEL_METRICS_EXPORTER: "none",
    OTEL_TRACES_EXPORTER: "otlp",
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://${receiver.host}`,
    OTEL_PROPAGATORS: propagators,
  });
  const telemetry = await startTelemetry({ defaultServiceName: "test", defaultPrometheusPort: 0 });
  const server = telemetry.plugin.instrumentServer(new grpc.Server());
  let seen:
    | { headers: Record<string, grpc.MetadataValue>; traceId: string | undefined }
    | undefined;
  server.addService(SERVICE, {
    Call(call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) {
      const traceId = trace.getSpanContext(context.active())?.traceId;
      seen = { headers: call.metadata.getMap(), traceId };
      reply(null, call.request);
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      "127.0.0.1:0",
      grpc.ServerCredentials.createInsecure(),
      (error, port) => error ? reject(error) : resolve(port),
    )
  );
  // A call with headers of its own is made by a client without telemetry.
  const options = Object.keys(sent).length === 0 ? telemetry.plugin.clientOptions({}) : {};
  const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options);
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(sent)) metadata.set(name, value);
  try {
    await new Promise<void>((resolve, reject) =>
      client["Call"]!(
        Buffer.from("x"),
        metadata,
        (error: Error | null) => error ? reject(error) : resolve(),
      )
    );
  } finally {
    client.close();
    server.forceShutdown();
    await telemetry.shutdown();
    // The next call's telemetry sets it again.
    context.disable();
  }
  return seen!;
}

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const SPAN_ID = "b7ad6b7169203331";

test("b3 writes one header", async (t) => {
  const { headers, traceId } = await call(t, "b3");
  assert.match(String(headers["b3"]), new RegExp(`^${traceId}-[0-9a-f]{16}-1$`));
  assert.equal(headers["x-b3-traceid"], undefined);
  assert.equal(headers["traceparent"], undefined);
});

test("b3multi writes several headers", async (t) => {
  const { headers, traceId } = await call(t, "b3multi");
  assert.equal(headers["x-b3-traceid"], traceId);
  assert.match(String(headers["x-b3-spanid"]), /^[0-9a-f]{16}$/);
  assert.equal(headers["x-b3-sampled"], "1");
  assert.equal(headers["b3"], undefined);
});

test("b3 stands beside other propagators", async (t) => {
  const { headers, traceId } = await call(t, ",b3,, tracecontext,");
  assert.ok(String(headers["b3"]).startsWith(`${traceId}-`));
  assert.ok(String(headers["traceparent"]).startsWith(`00-${traceId}-`));
});

for (const propagators of ["b3", "b3multi"]) {
  test(`${propagators} reads both forms`, async (t) => {
    const single = { b3: `${TRACE_ID}-${SPAN_ID}-1` };
    assert.equal((await call(t, propagators, single)).traceId, TRACE_ID);
    const multi = { "X-B3-TraceId": TRACE_ID, "X-B3-SpanId": SPAN_ID, "X-B3-Sampled": "1" };
    assert.equal((await call(t, propagators, multi)).traceId, TRACE_ID);
  });
}

test("without b3, its headers mean nothing", async (t) => {
  const { traceId } = await call(t, "tracecontext", { b3: `${TRACE_ID}-${SPAN_ID}-1` });
  assert.match(traceId ?? "", /^[0-9a-f]{32}$/);
  assert.notEqual(traceId, TRACE_ID);
});
