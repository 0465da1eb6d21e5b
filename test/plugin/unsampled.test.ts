import { context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import type { Context, Span, SpanContext, Tracer, TracerProvider } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { readAll, unary } from "../support/echo.ts";
import { withEchoPair } from "../support/echo-pair.ts";
import { eventually } from "../support/eventually.ts";
import { SpanRecording } from "../support/spans.ts";

/** A context manager that counts how often it enters a context with a span. */
class CountingManager extends AsyncLocalStorageContextManager {
  entered = 0;

  override with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    entered: Context,
    body: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    if (trace.getSpan(entered) !== undefined) this.entered++;
    return super.with(entered, body, self, ...args);
  }
}

const manager = new CountingManager();
context.setGlobalContextManager(manager.enable());
after(() => context.disable());

const textMapPropagator = new W3CTraceContextPropagator();

/** Makes spans of real contexts that record nothing, and remembers what is done with them. */
class SilentTracer implements Pick<Tracer, "startSpan">, TracerProvider {
  readonly parents = new Map<string, SpanContext | undefined>();
  readonly done: string[] = [];
  readonly #real = new SpanRecording().tracerProvider.getTracer("real");

  getTracer(): Tracer {
    return this as unknown as Tracer;
  }

  startSpan(name: string, _options: unknown, parent: Context = ROOT_CONTEXT): Span {
    this.parents.set(name, trace.getSpanContext(parent));
    const spanContext = this.#real.startSpan(name, {}, parent).spanContext();
    const note = (what: string) => () => this.done.push(`${what} ${name}`);
    return {
      spanContext: () => spanContext,
      isRecording: () => false,
      addEvent: note("addEvent"),
      setAttribute: note("setAttribute"),
      setAttributes: note("setAttributes"),
      setStatus: note("setStatus"),
      end: note("end"),
    } as unknown as Span;
  }
}

test("a span that records nothing is joined and ended, and gets neither events nor a status", async () => {
  const tracer = new SilentTracer();
  const plugin = { tracerProvider: tracer, textMapPropagator };
  await withEchoPair({ plugin }, async ({ client }) => {
    await unary(client, "hello");
    await readAll(client.ServerStreamingEcho({ message: "hello" }));
    await eventually(() => assert.equal(tracer.done.length, 6));
  });
  const spans = ["UnaryEcho", "ServerStreamingEcho"].flatMap((method) =>
    ["Attempt", "Recv", "Sent"].map((kind) => `${kind}.grpc.examples.echo.Echo.${method}`)
  );
  assert.deepEqual(tracer.done.toSorted(), spans.map((span) => `end ${span}`).toSorted());
  assert.equal(tracer.parents.get(spans[2]!), undefined);
  const [attempt, received] = spans.map((span) => tracer.parents.get(span)!);
  assert.equal(received!.traceId, attempt!.traceId);
  assert.equal(received!.isRemote, true);
  assert.notEqual(received!.spanId, attempt!.spanId);
});

test("a server enters the context of a call only for what grpc-js or the application hears", async () => {
  const { tracerProvider } = new SpanRecording();
  await withEchoPair({ plugin: { tracerProvider, textMapPropagator } }, async ({ client }) => {
    await unary(client, "connects");
    manager.entered = 0;
    await unary(client, "hello");
    // The caller has no span. The server's stream arrives, then its data, its end and its close, and
    // it wants trailers.
    const heard = 5;
    assert.ok(manager.entered <= heard, `entered ${manager.entered} times`);
  });
});
