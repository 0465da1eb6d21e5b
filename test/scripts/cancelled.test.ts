/** What each server records when a client cancels its calls and keeps its connection. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { eventually, eventuallyEqual } from "../support/eventually.ts";
import { grpcSeries, scrape, serverSeries, startedSeries } from "../support/scrape.ts";
import type { Series } from "../support/scrape.ts";
import { run, RUNTIMES, Script, startServer } from "../support/script.ts";
import type { RunningServer, Runtime } from "../support/script.ts";

const PATIENCE_MS = 30_000;

/** One call of each kind, with one message from the client. */
const CALLS = [
  "UnaryEcho",
  "ServerStreamingEcho",
  "ClientStreamingEcho",
  "BidirectionalStreamingEcho",
].map((method) => ({ method, count: 1, requestBytes: "hello".length + 2 }));

const pairs = RUNTIMES.flatMap((server) => RUNTIMES.map((client) => ({ server, client })));

for (const pair of pairs) {
  const name = `server on ${pair.server}, client on ${pair.client}`;

  test(`${name}: cancelled before the answer`, async (t) => {
    const server = await startServer(t, pair.server, { ECHO_DELAY_MS: "3600000" });
    await cancelCalls(t, pair.client, server);
    await eventuallyEqual(
      () => seriesOf(server),
      serverSeries(CALLS.map((calls) => ({ ...calls, status: "CANCELLED", responseBytes: 0 }))),
      PATIENCE_MS,
    );
  });

  // A known limit. To cancel a call that streams requests, grpc-js half-closes its stream and then
  // resets it (https://github.com/grpc/grpc-node/issues/2583). A server that answers the half-close
  // at once may send OK before it reads the reset: always on Bun, and on Deno and Node if the two
  // do not arrive together.
  test(`${name}: cancelled, with the half-close answered at once`, async (t) => {
    const server = await startServer(t, pair.server);
    await cancelCalls(t, pair.client, server);
    const streamed = pair.server === "bun" ? ["OK"] : ["OK", "CANCELLED"];
    await eventually(async () => {
      const statuses = statusByMethod(await seriesOf(server));
      assert.deepEqual(Object.keys(statuses).sort(), CALLS.map(({ method }) => method).sort());
      assert.equal(statuses["UnaryEcho"], "OK");
      assert.equal(statuses["ServerStreamingEcho"], "OK");
      assert.ok(streamed.includes(statuses["ClientStreamingEcho"] ?? ""), "client streaming");
      assert.ok(streamed.includes(statuses["BidirectionalStreamingEcho"] ?? ""), "bidirectional");
    }, PATIENCE_MS);
  });
}

async function seriesOf(server: RunningServer): Promise<Series> {
  return grpcSeries(await scrape(server.metricsUrl));
}

/** Starts a client that makes its calls, and cancels them when the server has received all. */
async function cancelCalls(t: TestContext, runtime: Runtime, server: RunningServer): Promise<void> {
  const command = run(runtime, "test/scripts/cancelling-client.ts", server.address);
  const client = new Script(t, command);
  await eventually(async () => {
    const series = await seriesOf(server);
    for (const [key, value] of Object.entries(startedSeries(CALLS))) {
      assert.equal(series[key], value, key);
    }
  }, PATIENCE_MS);
  client.signal("SIGTERM");
  await client.printed(/CANCELLED[^]*CANCELLED/);
}

/** Returns the status of the one ended call of each method. */
function statusByMethod(series: Series): Record<string, string> {
  const statuses: Record<string, string> = {};
  for (const [key, value] of Object.entries(series)) {
    const ended = /^grpc_server_call_duration_seconds_count\{.*Echo\/(\w+)",grpc_status="(\w+)"/
      .exec(key);
    if (ended === null) continue;
    const [, method = "", status = ""] = ended;
    assert.ok(!(method in statuses) && value === "1", `${method} ended more than once`);
    statuses[method] = status;
  }
  return statuses;
}
