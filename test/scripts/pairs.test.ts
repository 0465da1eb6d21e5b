/**
 * Every pair of runtimes as server and client: calls of all four kinds, then `/metrics` of both sides
 * with every series, label, count and size.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventuallyEqual } from "../support/eventually.ts";
import {
  clientSeries,
  grpcSeries,
  scrape,
  serverSeries,
  startedSeries,
} from "../support/scrape.ts";
import { RUNTIMES, startClient, startServer } from "../support/script.ts";

/** The size of the codelab's message, which has one field; the reply adds the address as given. */
const REQUEST = "this is examples/opentelemetry".length + 2;
const RESPONSE = REQUEST + " (from 127.0.0.1:0)".length;

/** A different count for each kind, so that they cannot be mixed up. */
const KINDS = [
  { method: "UnaryEcho", count: 2, requestBytes: REQUEST, responseBytes: RESPONSE },
  { method: "ServerStreamingEcho", count: 3, requestBytes: REQUEST, responseBytes: 3 * RESPONSE },
  { method: "ClientStreamingEcho", count: 4, requestBytes: 3 * REQUEST, responseBytes: RESPONSE },
  {
    method: "BidirectionalStreamingEcho",
    count: 5,
    requestBytes: 3 * REQUEST,
    responseBytes: 3 * RESPONSE,
  },
];
const PATIENCE_MS = 30_000;

const pairs = RUNTIMES.flatMap((server) => RUNTIMES.map((client) => ({ server, client })));

for (const pair of pairs) {
  test(`server on ${pair.server}, client on ${pair.client}: calls`, async (t) => {
    const server = await startServer(t, pair.server);
    const target = server.address.replace("127.0.0.1", "localhost");
    const ended = KINDS.map((kind) => ({ ...kind, status: "OK" }));
    await Promise.all(ended.map(async (calls) => {
      // Each worker makes one call and then pauses for an hour, while metrics are still served.
      const client = await startClient(t, pair.client, {
        ECHO_ADDR: target,
        ECHO_METHOD: calls.method,
        ECHO_CONCURRENCY: `${calls.count}`,
        ECHO_INTERVAL_MS: "3600000",
      });
      await eventuallyEqual(
        async () => grpcSeries(await scrape(client.metricsUrl)),
        clientSeries(`dns:///${target}`, [calls]),
        PATIENCE_MS,
      );
      assert.equal(await client.script.stop(), 0);
    }));
    await eventuallyEqual(
      async () => grpcSeries(await scrape(server.metricsUrl)),
      serverSeries(ended),
      PATIENCE_MS,
    );
    assert.equal(await server.script.stop(), 0);
  });

  test(`server on ${pair.server}, client on ${pair.client}: a stopped client cancels its calls`, async (t) => {
    const server = await startServer(t, pair.server, { ECHO_DELAY_MS: "3600000" });
    const clients = await Promise.all(KINDS.map(async ({ method, count }) => ({
      count,
      script: (await startClient(t, pair.client, {
        ECHO_ADDR: server.address,
        ECHO_METHOD: method,
        ECHO_CONCURRENCY: `${count}`,
        // The client prints its last metrics at exit, when it can no longer be scraped.
        OTEL_METRICS_EXPORTER: "prometheus,console",
      })).script,
    })));
    await eventuallyEqual(
      async () => grpcSeries(await scrape(server.metricsUrl)),
      startedSeries(KINDS),
      PATIENCE_MS,
    );
    await Promise.all(clients.map(async ({ script, count }) => {
      assert.equal(await script.stop(), 1, "no call of this client succeeded");
      assert.match(script.stdout, new RegExp(`Errors:\n  CANCELLED  ${count}\n`));
      // The three histograms of attempts, and that of calls.
      assert.equal(script.stdout.match(/grpc\.status["']: ["']CANCELLED/g)?.length, 4);
      assert.doesNotMatch(script.stdout, /grpc\.status["']: ["']OK/);
    }));
    await eventuallyEqual(
      async () => grpcSeries(await scrape(server.metricsUrl)),
      serverSeries(KINDS.map((kind) => ({ ...kind, status: "CANCELLED", responseBytes: 0 }))),
      PATIENCE_MS,
    );
    assert.equal(await server.script.stop(), 0, "no call is left to wait for");
  });
}
