import { status } from "@grpc/grpc-js";
import { context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { options, PAIRS, PATIENCE_MS, withPair } from "./pair.ts";
import type { Language } from "./pair.ts";
import type { CallRequest, Peer, Propagation, Span } from "./peer.ts";

const PROPAGATIONS: readonly Propagation[] = ["traceparent", "grpc-trace-bin"];

const UNARY = "/grpc.examples.echo.Echo/UnaryEcho";
const SERVER_STREAM = "/grpc.examples.echo.Echo/ServerStreamingEcho";
const CLIENT_STREAM = "/grpc.examples.echo.Echo/ClientStreamingEcho";
const BIDI = "/grpc.examples.echo.Echo/BidirectionalStreamingEcho";
const KINDS = [UNARY, SERVER_STREAM, CLIENT_STREAM, BIDI];

type Call = Omit<CallRequest, "target">;

/** The first call of a channel, which waits for name resolution and the connection. */
const FIRST_CALL: Call = { path: UNARY, messages: ["connect"] };

/** Calls whose spans are the same in both languages, except for {@link AS_SPECIFIED}. */
const CALLS: readonly Call[] = [
  ...KINDS.flatMap((path) =>
    ["hello", "", "status 9", "status 16", "status 17"].map((text) => ({ path, messages: [text] }))
  ),
  { path: SERVER_STREAM, messages: ["nothing"] },
  { path: CLIENT_STREAM, messages: [] },
  { path: CLIENT_STREAM, messages: ["a", "bb", "ccc"] },
  { path: BIDI, messages: ["a", "bb", "ccc"] },
];

/** Status descriptions of grpc-go, which lack the code's name, with those that gRFC A72 specifies. */
const AS_SPECIFIED: Readonly<Record<string, string>> = {
  "status 9": "FAILED_PRECONDITION, status 9",
  "status 16": "UNAUTHENTICATED, status 16",
  "status 17": "CODE(17), status 17",
};

/** A span with its children. */
interface SpanTree extends Pick<Span, "name" | "kind" | "attributes" | "events" | "status"> {
  readonly children: readonly SpanTree[];
}

for (const propagation of PROPAGATIONS) {
  test(
    `both sides of a call form one trace, as in grpc-go, with ${propagation}`,
    options,
    async () => {
      const expected = await traces(["grpc-go", "grpc-go"], propagation);
      for (const pair of PAIRS) assert.deepEqual(await traces(pair, propagation), expected);
    },
  );
}

/**
 * Makes the calls and returns the trace of each. The trace of the first call is left out, because the
 * events of its wait are a race in Go.
 */
function traces(pair: readonly [Language, Language], propagation: Propagation) {
  return withPair(pair, async (client, server) => {
    const target = `localhost:${server.port}`;
    for (const call of [FIRST_CALL, ...CALLS]) await client.call({ ...call, target }).result;
    const found = await spansOf([client, server], 3 * (1 + CALLS.length));
    const spans = found.map((span) =>
      pair[span.kind === "SERVER" ? 1 : 0] === "grpc-go" ? asSpecified(span) : span
    );
    const [, ...roots] = spans.filter(({ parentId }) => parentId === undefined);
    return roots.map((root) => tree(root, spans));
  }, propagation);
}

function asSpecified(span: Span): Span {
  const message = AS_SPECIFIED[span.status.message ?? ""];
  return message === undefined ? span : { ...span, status: { ...span.status, message } };
}

/** Waits until peers have `count` spans in total, and returns them. */
function spansOf(peers: readonly Peer[], count: number): Promise<readonly Span[]> {
  return eventually(async () => {
    const reports = await Promise.all(peers.map((peer) => peer.report()));
    const spans = reports.flatMap((report) => report.spans);
    assert.equal(spans.length, count, JSON.stringify(spans.map(({ name }) => name)));
    return spans;
  }, PATIENCE_MS);
}

function tree(
  { name, kind, attributes, events, status, spanId, traceId }: Span,
  spans: readonly Span[],
): SpanTree {
  const children = spans.filter(({ parentId }) => parentId === spanId);
  for (const child of children) assert.equal(child.traceId, traceId);
  return {
    name,
    kind,
    attributes,
    events: byDirection(events),
    status,
    children: children.map((child) => tree(child, spans)),
  };
}

/** Sorts events by direction, because only those of the same direction have a fixed order. */
function byDirection(events: Span["events"]): Span["events"] {
  return events.toSorted((one, other) => one.name.localeCompare(other.name));
}

test("the waits of a channel's first call are events with grpc-go's names", options, async () => {
  const names = async (language: Language) =>
    await withPair([language, language], async (client, server) => {
      await client.call({ ...FIRST_CALL, target: `localhost:${server.port}` }).result;
      const spans = await spansOf([client, server], 3);
      return spans.flatMap(({ name, events }) =>
        events.map((event) => `${name.split(".")[0]}: ${event.name}`)
      ).filter((event) => event.includes("Delayed"));
    });
  const ours = ["Attempt: Delayed LB pick complete", "Sent: Delayed name resolution complete"];
  assert.deepEqual((await names("grpc-js")).sort(), ours);
  for (const event of await names("grpc-go")) assert.ok(ours.includes(event), event);
});

test(
  "one trace passes from grpc-go through a handler and client of ours back to grpc-go",
  options,
  async () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager());
    try {
      for (const path of [UNARY, CLIENT_STREAM]) {
        await withPair(["grpc-go", "grpc-js"], async (go, ours) => {
          const messages = [`relay localhost:${go.port}`];
          const target = `localhost:${ours.port}`;
          assert.deepEqual((await go.call({ target, path, messages }).result).replies, ["relayed"]);
          const spans = await spansOf([go, ours], 6);
          assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 1);
          assert.deepEqual(lineage(spans), ["Sent", "Attempt", "Recv", "Sent", "Attempt", "Recv"]);
        });
      }
    } finally {
      context.disable();
    }
  },
);

/** The kinds of spans in a trace, each the parent of the next. */
function lineage(spans: readonly Span[]): string[] {
  const kinds: string[] = [];
  let span = spans.find(({ parentId }) => parentId === undefined);
  while (span !== undefined) {
    kinds.push(span.name.split(".")[0]!);
    const { spanId } = span;
    span = spans.find(({ parentId }) => parentId === spanId);
  }
  return kinds;
}

test("both sides report the same sizes of compressed messages", options, async () => {
  const text = "x".repeat(10_000);
  for (const pair of PAIRS) {
    await withPair(pair, async (client, server) => {
      const target = `localhost:${server.port}`;
      for (const path of KINDS) {
        await client.call({ target, path, messages: [text], gzip: true }).result;
      }
      const spans = await spansOf([client, server], 3 * KINDS.length);
      for (const path of KINDS) {
        const name = path.slice(1).replace("/", ".");
        const [attempt, received] = ["Attempt", "Recv"].map((prefix) =>
          spans.find((span) => span.name === `${prefix}.${name}`)!
        );
        const sent = messages(attempt!, "Outbound");
        assert.deepEqual(messages(received!, "Inbound"), sent);
        assert.deepEqual(messages(attempt!, "Inbound"), messages(received!, "Outbound"));

        assert.equal(sent[0]!["message-size"], 10_003);
        const compressed = Number(sent[0]!["message-size-compressed"]);
        assert.ok(compressed > 0 && compressed < 200, `${compressed}`);
      }
    });
  }
});

function messages({ events }: Span, direction: "Inbound" | "Outbound") {
  return events.filter(({ name }) => name === `${direction} message`).map((event) =>
    event.attributes
  );
}

test(
  "interrupted calls have spans that end with an error on both sides",
  options,
  async () => {
    for (const pair of PAIRS) {
      await withPair(pair, async (client, server) => {
        const target = `localhost:${server.port}`;
        const cancelled: Call = { path: BIDI, messages: ["a", "hang"], cancelAfter: 2 };
        const late: Call = { path: UNARY, messages: ["hang"], deadlineMs: 200 };
        for (const call of [cancelled, late]) await client.call({ ...call, target }).result;
        for (const { name, status } of await spansOf([client, server], 6)) {
          assert.equal(status.code, "ERROR", name);
        }
      });
    }
  },
);

test(
  "an unregistered method has a span on our server, but not on grpc-go's",
  options,
  async () => {
    const call: Call = { path: "/grpc.examples.echo.Echo/Nope", messages: ["hello"] };
    await withPair(["grpc-go", "grpc-js"], async (client, server) => {
      const target = `localhost:${server.port}`;
      assert.equal((await client.call({ ...call, target }).result).code, status.UNIMPLEMENTED);
      assert.deepEqual(lineage(await spansOf([client, server], 3)), ["Sent", "Attempt", "Recv"]);
    });
    // grpc-go starts a span that never ends.
    await withPair(["grpc-js", "grpc-go"], async (client, server) => {
      const target = `localhost:${server.port}`;
      assert.equal((await client.call({ ...call, target }).result).code, status.UNIMPLEMENTED);
      assert.deepEqual(lineage(await spansOf([client, server], 2)), ["Sent", "Attempt"]);
    });
  },
);
