/** Traces of the scripts, which `OTEL_TRACES_EXPORTER` switches on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { RecordingReceiver } from "./recording-receiver.ts";
import { RUNTIMES, startClient, startServer } from "../support/script.ts";

/** A span in an OTLP/HTTP JSON request. */
interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
}

interface TraceRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[];
  }[];
}

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string };
}

/** Returns the received spans by service and name. */
function received(receiver: RecordingReceiver): Map<string, Span> {
  const spans = new Map<string, Span>();
  for (const { path, body } of receiver.requests) {
    if (path !== "/v1/traces") continue;
    const { resourceSpans } = JSON.parse(body.toString()) as TraceRequest;
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = resource.attributes.find(({ key }) => key === "service.name");
      for (const span of scopeSpans.flatMap((scope) => scope.spans)) {
        spans.set(`${service?.value.stringValue} ${span.name}`, span);
      }
    }
  }
  return spans;
}

const METHOD = "grpc.examples.echo.Echo.UnaryEcho";
const NAMES = [
  `echo-client Attempt.${METHOD}`,
  `echo-client Sent.${METHOD}`,
  `echo-server Recv.${METHOD}`,
];

for (const runtime of RUNTIMES) {
  for (const propagators of ["tracecontext,baggage", "grpc-trace-bin", "b3", "b3multi"]) {
    test(`${runtime}: a call is one trace in both processes, with ${propagators}`, async (t) => {
      const receiver = await RecordingReceiver.start(t, "http/json");
      const traced = {
        OTEL_TRACES_EXPORTER: "otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://${receiver.host}`,
        OTEL_PROPAGATORS: propagators,
      };
      const server = await startServer(t, runtime, traced);
      const client = await startClient(t, runtime, {
        ...traced,
        ECHO_ADDR: server.address,
        ECHO_COUNT: "1",
      });
      assert.equal(await client.script.exit(), 0);
      assert.equal(await server.script.stop(), 0);
      assert.match(
        client.script.stdout,
        new RegExp(`^Traces at http://${receiver.host}/v1/traces \\(http/json\\)$`, "m"),
      );

      const spans = received(receiver);
      assert.deepEqual([...spans.keys()].sort(), NAMES);
      const [attempt, sent, recv] = NAMES.map((name) => spans.get(name)!);
      assert.equal(sent!.parentSpanId || undefined, undefined);
      assert.equal(attempt!.parentSpanId, sent!.spanId);
      assert.equal(recv!.parentSpanId, attempt!.spanId);
      assert.equal(new Set([...spans.values()].map(({ traceId }) => traceId)).size, 1);
      assert.equal(server.script.stderr + client.script.stderr, "");
    });
  }

  test(`${runtime}: by default, no trace is made or propagated`, async (t) => {
    const receiver = await RecordingReceiver.start(t, "http/json");
    const pushing = {
      OTEL_METRICS_EXPORTER: "otlp",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${receiver.host}`,
    };
    const server = await startServer(t, runtime, pushing);
    const client = await startClient(t, runtime, {
      ...pushing,
      ECHO_ADDR: server.address,
      ECHO_COUNT: "1",
    });
    assert.equal(await client.script.exit(), 0);
    assert.doesNotMatch(client.script.stdout, /Traces at/);
    assert.deepEqual([...new Set(receiver.requests.map(({ path }) => path))], ["/v1/metrics"]);
  });

  test(`${runtime}: spans can be printed, and a sampler that is off makes none`, async (t) => {
    const server = await startServer(t, runtime);
    const [printing, silent] = await Promise.all([{}, { OTEL_TRACES_SAMPLER: "always_off" }].map(
      (more) =>
        startClient(t, runtime, {
          OTEL_METRICS_EXPORTER: "none",
          OTEL_TRACES_EXPORTER: "console",
          ECHO_ADDR: server.address,
          ECHO_COUNT: "1",
          ...more,
        }),
    ));
    assert.equal(await printing!.script.exit(), 0);
    assert.equal(await silent!.script.exit(), 0);
    assert.match(printing!.script.stdout, /^Traces at standard output$/m);
    assert.match(printing!.script.stdout, /name: ["']Sent\.grpc\.examples\.echo\.Echo\.UnaryEcho/);
    assert.doesNotMatch(silent!.script.stdout, /Sent\.grpc/);
  });
}

test("spans that cannot be delivered are reported in one line, and again at the end", async (t) => {
  const receiver = await RecordingReceiver.start(t, "http/json");
  receiver.answers = false;
  const server = await startServer(t, "node");
  const { script } = await startClient(t, "node", {
    OTEL_TRACES_EXPORTER: "otlp",
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `http://${receiver.host}/traces`,
    OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: "300",
    ECHO_ADDR: server.address,
    ECHO_COUNT: "1",
  });
  assert.equal(await script.exit(), 0);
  const where = `http://${receiver.host}`;
  assert.deepEqual(
    script.stderr.trim().split("\n").map((line) => line.replaceAll(/\d+\.\d s/g, "N s")),
    [
      `telemetry: spans cannot be delivered to ${where}: no answer within N s; they are lost`,
      `telemetry: the last spans could not be delivered to ${where}, failing for N s: ` +
      "no answer within N s",
    ],
  );
  await eventually(() => assert.equal(receiver.requests.length, 1));
});
