/** Nothing of a channel is kept once it is closed. */
import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { echoClient, echoHandlers, echoService, listen, unary } from "../support/echo.ts";
import { eventually } from "../support/eventually.ts";
import { heapInUse } from "../support/heap.ts";
import { Recording } from "../support/series.ts";

const CHANNELS = 10_000;
/** Half of these make a call: so many series there may be, and what is made once is made by then. */
const FIRST = 4000;
/** Of the others, one in so many makes a call. */
const CALLING = 5;
/** What the plugin keeps of one that calls is over 5 kB, so that of one in five 1 kB would be left. */
const MOST_BYTES_EACH = 500;

test("10,000 channels to as many targets are opened and closed without a trace", async (t) => {
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  const port = await listen(server);
  t.after(() => server.forceShutdown());

  const recording = new Recording();
  const plugin = new GrpcOpenTelemetry({
    meterProvider: recording.meterProvider,
    enableMetrics: ["grpc.subchannel.disconnections", "grpc.subchannel.open_connections"],
  });
  // Deno itself keeps some of each connection.
  const bare = await (await openAndClose(port, {}))();
  const recorded = await openAndClose(port, plugin.clientOptions());
  // grpc-js lets go of closed connections ten seconds later.
  await eventually(async () => {
    const bytes = await recorded();
    console.log(`bytes kept of each channel: ${bytes}, without the plugin ${bare}`);
    assert.ok(bytes < bare + MOST_BYTES_EACH, `${bytes} bytes of each channel`);
  }, 30_000);

  const metrics = await recording.metrics();
  const started = metrics.find(({ descriptor }) =>
    descriptor.name === "grpc.client.attempt.started"
  );
  const calls = started!.dataPoints.reduce((sum, { value }) => sum + (value as number), 0);
  assert.equal(calls, FIRST / 2 + (CHANNELS - FIRST) / CALLING);
  assert.equal(started!.dataPoints.length, 2000);
});

/** Returns what tells how many bytes are kept of each channel but the first ones. */
async function openAndClose(
  port: number,
  options: grpc.ClientOptions,
): Promise<() => Promise<number>> {
  let before = 0;
  for (let i = 0; i < CHANNELS; i++) {
    if (i === FIRST) before = await heapInUse();
    // The first address is that of a name server, which nobody asks: the second needs none.
    const client = echoClient(`dns://127.1.${i >> 8}.${i & 255}/127.0.0.1:${port}`, options);
    if (i % (i < FIRST ? 2 : CALLING) === 0) assert.equal(await unary(client, "hello"), "hello");
    client.close();
  }
  return async () => Math.round((await heapInUse() - before) / (CHANNELS - FIRST));
}
