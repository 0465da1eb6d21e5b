/** Malformed trailers and headers from a peer cost neither a span nor a metric. */
import * as grpc from "@grpc/grpc-js";
import { SpanStatusCode } from "@opentelemetry/api";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http2";
import type { ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { GrpcOpenTelemetry, GrpcTraceBinPropagator } from "../../plugin/mod.ts";
import { rawRequest } from "../support/raw-request.ts";
import { echoClient, unary } from "../support/echo.ts";
import type { EchoMessage } from "../support/echo.ts";
import { withEchoPair } from "../support/echo-pair.ts";
import { eventually } from "../support/eventually.ts";
import { Recording } from "../support/series.ts";
import { SpanRecording } from "../support/spans.ts";

const RECV = "Recv.grpc.examples.echo.Echo.UnaryEcho";

interface Case {
  readonly what: string;
  /** Added to the status 13 without a message, or replacing it. */
  readonly trailers: Readonly<Record<string, string | readonly string[]>>;
  /** The expected message of the span's status. */
  readonly message: string;
  /** The expected `grpc.status`. Defaults to INTERNAL. */
  readonly status?: string;
}

const MESSAGES: readonly Case[] = [
  { what: "a percent sign", trailers: { "grpc-message": "100% wrong" }, message: "100% wrong" },
  { what: "a percent sign at the end", trailers: { "grpc-message": "100%" }, message: "100%" },
  {
    what: "a truncated escape",
    trailers: { "grpc-message": "cut %E4%BD%" },
    message: "cut %E4%BD%",
  },
  { what: "invalid UTF-8", trailers: { "grpc-message": "%FF%FE" }, message: "%FF%FE" },
  { what: "a lone surrogate", trailers: { "grpc-message": "%ED%A0%80" }, message: "%ED%A0%80" },
  {
    what: "a message that is partly encoded",
    trailers: { "grpc-message": "50%25 of 100% is %41" },
    message: "50%25 of 100% is %41",
  },
  {
    what: "two messages",
    trailers: { "grpc-message": ["100% wrong", "too"] },
    message: "100% wrong, too",
  },
  {
    what: "a long text",
    trailers: { "grpc-message": `${"long ".repeat(2000)}%` },
    message: `${"long ".repeat(2000)}%`,
  },
];

const SENT: readonly Case[] = [
  ...MESSAGES,
  {
    what: "two statuses",
    trailers: { "grpc-status": ["5", "7"] },
    message: "planned",
    status: "UNKNOWN",
  },
  {
    what: "a well-encoded message",
    trailers: { "grpc-message": "%E4%BD%A0 %23%2F%3f%25" },
    message: "你 #/?%",
  },
  {
    what: "a status that is not a number",
    trailers: { "grpc-status": "x" },
    message: "planned",
    status: "UNKNOWN",
  },
  {
    what: "a status that gRPC does not define",
    trailers: { "grpc-status": "99" },
    message: "planned",
    status: "CODE(99)",
  },
  {
    what: "a negative status",
    trailers: { "grpc-status": "-1" },
    message: "planned",
    status: "UNKNOWN",
  },
];

for (const { what, trailers, message, status = "INTERNAL" } of SENT) {
  test(`a server that sends ${what} still records its span and metrics`, () => {
    const spans = new SpanRecording();
    const metadata = new grpc.Metadata();
    for (const [key, values] of Object.entries(trailers)) {
      for (const value of [values].flat()) metadata.add(key, value);
    }
    return withEchoPair({
      plugin: { tracerProvider: spans.tracerProvider },
      handlers: {
        UnaryEcho(_call: unknown, reply: grpc.sendUnaryData<EchoMessage>) {
          reply({ code: grpc.status.INTERNAL, details: "planned", metadata });
        },
      },
    }, async ({ client, recording }) => {
      await unary(client, "hello");
      await eventually(() => assert.equal(spans.spans.length, 3));
      assert.deepEqual(spans.byName().get(RECV)?.status, {
        code: SpanStatusCode.ERROR,
        message: `${status}, ${message}`,
      });
      await eventually(async () =>
        assert.ok(
          `grpc.server.call.duration{method=grpc.examples.echo.Echo/UnaryEcho,status=${status}}` in
            await recording.series(),
        )
      );
    });
  });
}

const RECEIVED: readonly Case[] = [
  ...MESSAGES,
  {
    what: "two statuses",
    trailers: { "grpc-status": ["5", "7"] },
    message: "",
    status: "UNKNOWN",
  },
  {
    what: "a status that is not a number",
    trailers: { "grpc-status": "x" },
    message: "",
    status: "UNKNOWN",
  },
  {
    what: "metadata that is not Base64",
    trailers: { "bad-bin": "%%%", "grpc-status-details-bin": "ä, %" },
    message: "",
  },
];

for (const { what, trailers, message, status = "INTERNAL" } of RECEIVED) {
  test(`a client that receives ${what} still records its spans and metrics`, async (t) => {
    const port = await listenRaw(t, trailers);
    const spans = new SpanRecording();
    const recording = new Recording();
    const plugin = new GrpcOpenTelemetry({
      meterProvider: recording.meterProvider,
      tracerProvider: spans.tracerProvider,
    });
    const client = echoClient(`127.0.0.1:${port}`, plugin.clientOptions());
    t.after(() => client.close());
    await unary(client, "hello", { deadline: Date.now() + 5000 });
    const shown = message === "" ? status : `${status}, ${message}`;
    assert.deepEqual(spans.spans.map((span) => span.status), [
      { code: SpanStatusCode.ERROR, message: shown },
      { code: SpanStatusCode.ERROR, message: shown },
    ]);
    const series = await recording.series();
    for (const name of ["grpc.client.attempt.duration", "grpc.client.call.duration"]) {
      assert.equal(
        series[`${name}{method=grpc.examples.echo.Echo/UnaryEcho,status=${status}}`],
        "1",
      );
    }
  });
}

/** Starts a server that answers with the status 13 and the given trailers. Returns its port. */
async function listenRaw(t: TestContext, trailers: Case["trailers"]): Promise<number> {
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => {});
    stream.respond(
      {
        ":status": 200,
        "content-type": "application/grpc",
        "grpc-status": "13",
        ...trailers as Record<string, string | string[]>,
      },
      { endStream: true },
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

const MESSAGE = Buffer.from([0, 0, 0, 0, 4, 0x0a, 2, ...Buffer.from("hi")]);

for (
  const [what, header] of Object.entries({
    "invalid Base64": "%%%",
    "too few bytes": Buffer.alloc(28).toString("base64"),
    "zeros only": Buffer.alloc(29).toString("base64"),
    "several values": `${Buffer.alloc(29, 1).toString("base64")}, %`,
    "no bytes": "",
  })
) {
  test(`a grpc-trace-bin header with ${what} starts a new trace`, () => {
    const spans = new SpanRecording();
    return withEchoPair({
      plugin: {
        tracerProvider: spans.tracerProvider,
        textMapPropagator: new GrpcTraceBinPropagator(),
      },
    }, async ({ port, recording }) => {
      const headers = { "grpc-trace-bin": header, "other-bin": header };
      assert.equal(await rawRequest(port, headers, MESSAGE), "OK");
      await eventually(() => assert.equal(spans.spans.length, 1));
      assert.equal(spans.spans[0]?.parentSpanContext, undefined);
      await eventually(async () =>
        assert.ok(
          "grpc.server.call.duration{method=grpc.examples.echo.Echo/UnaryEcho,status=OK}" in
            await recording.series(),
        )
      );
    });
  });
}
