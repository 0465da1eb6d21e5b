/** A closed channel releases its memory. */
import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { echoClient, echoHandlers, echoService, listen, unary } from "../support/echo.ts";
import { eventually } from "../support/eventually.ts";
import { heapInUse } from "../support/heap.ts";
import { Recording } from "../support/series.ts";

const CHANNELS = 10_000;
/**
 * Half of the first channels make a call, which uses up the limit of 1999 series. Everything that is
 * allocated once is allocated by then.
 */
const FIRST = 4000;
/** One in this many of the other channels makes a call. */
const CALLING = 5;
/** The plugin uses over 5 kB for a channel with calls. A leak of one in five would show as 1 kB each. */
const MOST_BYTES_EACH = 500;

test("10,000 closed channels to different targets leave no memory in use", async (t) => {
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  const port = await listen(server);
  t.after(() => server.forceShutdown());

  const recording = new Recording();
  const plugin = new GrpcOpenTelemetry({
    meterProvider: recording.meterProvider,
    enableMetrics: ["grpc.subchannel.disconnections", "grpc.subchannel.open_connections"],
  });
  // Deno itself keeps some memory for each connection.
  const bare = await (await openAndClose(port, {}))();
  const recorded = await openAndClose(port, plugin.clientOptions());
  // grpc-js releases closed connections after ten seconds.
  await eventually(async () => {
    const bytes = await recorded();
    console.log(`bytes in use for each channel: ${bytes}, without the plugin ${bare}`);
    // Memory of the first channels that is released late makes the difference negative.
    assert.ok(bytes < Math.max(bare, 0) + MOST_BYTES_EACH, `${bytes} bytes for each channel`);
  }, 30_000);

  const metrics = await recording.metrics();
  const started = metrics.find(({ descriptor }) =>
    descriptor.name === "grpc.client.attempt.started"
  );
  const calls = started!.dataPoints.reduce((sum, { value }) => sum + (value as number), 0);
  assert.equal(calls, FIRST / 2 + (CHANNELS - FIRST) / CALLING);
  assert.equal(started!.dataPoints.length, 1999);
});

/**
 * Opens and closes all channels. Returns a function that measures the bytes in use for each channel
 * after the first ones.
 */
async function openAndClose(
  port: number,
  options: grpc.ClientOptions,
): Promise<() => Promise<number>> {
  let before = 0;
  for (let i = 0; i < CHANNELS; i++) {
    if (i === FIRST) before = await heapInUse();
    // The first address is a name server that is never asked, because the second is an IP address.
    const client = echoClient(`dns://127.1.${i >> 8}.${i & 255}/127.0.0.1:${port}`, options);
    if (i % (i < FIRST ? 2 : CALLING) === 0) assert.equal(await unary(client, "hello"), "hello");
    client.close();
  }
  return async () => Math.round((await heapInUse() - before) / (CHANNELS - FIRST));
}
