import { status } from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, eventuallyEqual } from "../support/eventually.ts";
import { seriesOf, valuesOf } from "../support/series.ts";
import type { Metric } from "../support/series.ts";
import { CASES } from "./cases.ts";
import type { Case, CaseCall } from "./cases.ts";
import { options, PAIRS, PATIENCE_MS, withPair } from "./pair.ts";
import type { Language } from "./pair.ts";
import type { CallResult, Peer } from "./peer.ts";

type Series = Readonly<Record<string, string>>;

for (const one of CASES) {
  test(one.title, options, async () => {
    const reference = await recordPair(one, ["grpc-go", "grpc-go"]);
    assert.deepEqual(reference.results.map(({ code }) => code), one.calls.map(({ code }) => code));
    for (const pair of PAIRS) assert.deepEqual(await recordPair(one, pair), reference);
  });
}

/** What the callers of a case saw, and what their client recorded. */
interface Outcome {
  readonly results: readonly CallResult[];
  readonly client: Series;
}

/**
 * Makes the calls of a case one after another. Waits until the server's series match the client's.
 */
async function recordPair(one: Case, pair: readonly [Language, Language]): Promise<Outcome> {
  const outcome = await withPair(pair, async (client, server) => {
    const results: CallResult[] = [];
    for (const call of one.calls) {
      const result = await make(call, client, server);
      const settled = one.race !== undefined && result.code === status.CANCELLED;
      results.push(settled ? { ...result, code: status.DEADLINE_EXCEEDED } : result);
    }

    // grpc-go may report a cancellation to the caller before it records it.
    const { metrics } = await eventually(async () => {
      const report = await client.report();
      const series = seriesOf(report.metrics);
      assert.equal(total(series, "grpc.client.call.duration{"), one.calls.length);
      assert.equal(total(series, "grpc.client.attempt.duration{"), one.calls.length);
      return report;
    }, PATIENCE_MS);
    const ofCalls = metrics.filter(({ descriptor }) => descriptor.name.startsWith("grpc.client."));
    assert.deepEqual(valuesOf(ofCalls, "grpc.target"), [`dns:///localhost:${server.port}`]);
    const series = seriesOfSide("client", one, metrics);
    await eventuallyEqual(
      async () => seriesOfSide("server", one, (await server.report()).metrics),
      one.servers?.[pair[1]] ?? mirrored(series),
      PATIENCE_MS,
    );
    return { results, client: one.ownSizes === undefined ? series : withoutSizes(series) };
  });
  return wasOvertaken(one, pair[0], outcome) ? await recordPair(one, pair) : outcome;
}

/**
 * Whether the server's reply overtook the write of the request. In that case grpc-go's client
 * sometimes records a successful attempt without bytes for a failed call.
 */
function wasOvertaken({ servers }: Case, client: Language, outcome: Outcome): boolean {
  return servers !== undefined && client === "grpc-go" &&
    Object.keys(outcome.client).some((key) => key.endsWith(",status=OK}"));
}

async function make(
  { cancelWhenServed, code: _, ...call }: CaseCall,
  client: Peer,
  server: Peer,
): Promise<CallResult> {
  const { hanging } = await server.report();
  const { result, cancel } = client.call({ ...call, target: `localhost:${server.port}` });
  if (cancelWhenServed) {
    await eventually(async () => assert.ok((await server.report()).hanging > hanging), PATIENCE_MS);
    cancel();
  }
  return await result;
}

function seriesOfSide(side: "client" | "server", { race }: Case, metrics: readonly Metric[]) {
  return renamed(seriesOf(metrics), (key) => {
    if (!key.startsWith(`grpc.${side}.`)) return undefined;
    return race === undefined ? key : key.replace("=CANCELLED", "=DEADLINE_EXCEEDED");
  });
}

/** Converts a client's series to the server's: bytes sent by one side are received by the other. */
function mirrored(client: Series): Series {
  return renamed(client, (key) => {
    const attempt = /^grpc\.client\.attempt\.(.*)$/.exec(key)?.[1];
    if (attempt === undefined) return undefined;
    const turned = attempt.replace(
      /^(sent|rcvd)_/,
      (prefix) => prefix === "sent_" ? "rcvd_" : "sent_",
    );
    return `grpc.server.call.${turned}`;
  });
}

/** The total count of a histogram of durations. */
function total(series: Series, prefix: string): number {
  return Object.entries(series).filter(([key]) => key.startsWith(prefix))
    .reduce((sum, [, count]) => sum + Number(count), 0);
}

function withoutSizes(series: Series): Series {
  return Object.fromEntries(
    Object.entries(series).map(([key, value]) => [key, value.replace(/ \(\d+\)/, "")]),
  );
}

/** Renames series. Leaves out those for which `rename` returns undefined. */
function renamed(series: Series, rename: (key: string) => string | undefined): Series {
  return Object.fromEntries(
    Object.entries(series).flatMap(([key, value]) => {
      const name = rename(key);
      return name === undefined ? [] : [[name, value]];
    }),
  );
}

const FAILING_STREAM = {
  path: "/grpc.examples.echo.Echo/ServerStreamingEcho",
  messages: ["replies 9"],
  code: status.FAILED_PRECONDITION,
};

test("a stream that fails after replies", options, async () => {
  const one = { title: "a stream that fails after replies", calls: [FAILING_STREAM] };
  const reference = await recordPair(one, ["grpc-go", "grpc-go"]);
  assert.deepEqual(await recordPair(one, ["grpc-go", "grpc-js"]), reference);
});

test(
  "messages that grpc-js drops from a failed stream are not counted as received",
  options,
  async () => {
    // grpc-js reports the failure at once, before messages that it has read but not passed on.
    await withPair(["grpc-js", "grpc-go"], async (client, server) => {
      const target = `localhost:${server.port}`;
      const { code, replies } = await client.call({ ...FAILING_STREAM, target }).result;
      assert.equal(code, FAILING_STREAM.code);
      const labels =
        "{method=grpc.examples.echo.Echo/ServerStreamingEcho,status=FAILED_PRECONDITION}";
      const sizeOf = async (peer: Peer, name: string) =>
        seriesOf((await peer.report()).metrics)[`${name}_total_compressed_message_size${labels}`];
      assert.equal(
        await sizeOf(client, "grpc.client.attempt.rcvd"),
        `1 (${11 * replies.length})`,
      );
      await eventuallyEqual(() => sizeOf(server, "grpc.server.call.sent"), "1 (33)", PATIENCE_MS);
    });
  },
);
