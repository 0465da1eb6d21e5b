import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { echoClient, echoHandlers, echoService, listen, unary } from "../support/echo.ts";
import type { EchoClient } from "../support/echo.ts";
import { eventually, eventuallyEqual } from "../support/eventually.ts";
import { Recording } from "../support/series.ts";
import { A94, subchannelSeries } from "../support/subchannels.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

/** Creates a recorded client with its own connection pool, and a reader of its connection metrics. */
function connect(port: number, options: Omit<GrpcOpenTelemetryOptions, "meterProvider"> = {}) {
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({
    meterProvider: recording.meterProvider,
    enableMetrics: A94,
    optionalLabels: ["grpc.disconnect_error"],
    ...options,
  });
  const client = echoClient(
    `localhost:${port}`,
    otel.clientOptions({ "grpc.use_local_subchannel_pool": 1 }),
  );
  return { client, subchannels: () => subchannelSeries(recording) };
}

async function echoServer(): Promise<{ server: grpc.Server; port: number }> {
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  return { server, port: await listen(server) };
}

function stop(client: EchoClient, server: grpc.Server): void {
  client.close();
  server.forceShutdown();
}

test("the metrics of gRFC A94 are off by default", async () => {
  const { server, port } = await echoServer();
  const { client, subchannels } = connect(port, { enableMetrics: [] });
  assert.equal(await unary(client, "hello"), "hello");
  assert.deepEqual(await subchannels(), {});
  stop(client, server);
});

test("a connection is counted when it opens and when its channel closes", async () => {
  const { server, port } = await echoServer();
  const { client, subchannels } = connect(port, {
    optionalLabels: ["grpc.disconnect_error", "grpc.security_level", "grpc.lb.locality"],
  });
  assert.equal(await unary(client, "hello"), "hello");
  assert.deepEqual(await subchannels(), {
    "connection_attempts_succeeded{lb.locality=}": "1",
    "open_connections{lb.locality=,security_level=none}": "1",
  });
  client.close();
  await eventuallyEqual(subchannels, {
    "connection_attempts_succeeded{lb.locality=}": "1",
    "disconnections{disconnect_error=subchannel shutdown,lb.locality=}": "1",
    "open_connections{lb.locality=,security_level=none}": "0",
  });
  server.forceShutdown();
});

test("optional labels are left out by default", async () => {
  const { server, port } = await echoServer();
  const { client, subchannels } = connect(port, { optionalLabels: [] });
  assert.equal(await unary(client, "hello"), "hello");
  client.close();
  await eventuallyEqual(subchannels, {
    "connection_attempts_succeeded{}": "1",
    "disconnections{}": "1",
    "open_connections{}": "0",
  });
  server.forceShutdown();
});

test("a server that shuts down disconnects with GOAWAY NO_ERROR", async () => {
  const { server, port } = await echoServer();
  const { client, subchannels } = connect(port);
  assert.equal(await unary(client, "hello"), "hello");
  await new Promise((resolve) => server.tryShutdown(resolve));
  await eventuallyEqual(subchannels, {
    "connection_attempts_succeeded{}": "1",
    "disconnections{disconnect_error=GOAWAY NO_ERROR}": "1",
    "open_connections{}": "0",
  });
  stop(client, server);
});

test("a reset connection and a closed one have different reasons", async () => {
  const { server, port } = await echoServer();
  const proxy = new TcpProxy(port);
  const { client, subchannels } = connect(await proxy.listen());
  assert.equal(await unary(client, "hello"), "hello");
  proxy.connections.at(-1)!.resetAndDestroy();
  await eventuallyEqual(subchannels, {
    "connection_attempts_succeeded{}": "1",
    "disconnections{disconnect_error=connection reset}": "1",
    "open_connections{}": "0",
  });
  assert.equal(await unary(client, "hello", { deadline: Date.now() + 10_000 }), "hello");
  proxy.connections.at(-1)!.end();
  await eventuallyEqual(subchannels, {
    "connection_attempts_succeeded{}": "2",
    "disconnections{disconnect_error=connection reset}": "1",
    "disconnections{disconnect_error=unknown}": "1",
    "open_connections{}": "0",
  });
  stop(client, server);
  proxy.close();
});

test("a failed connection attempt is counted", async () => {
  const { server, port } = await echoServer();
  server.forceShutdown();
  const { client, subchannels } = connect(port);
  assert.equal(await unary(client, "hello"), "UNAVAILABLE");
  const failed = await subchannels();
  assert.deepEqual(Object.keys(failed), ["connection_attempts_failed{}"]);
  assert.ok(Number(failed["connection_attempts_failed{}"]) >= 1);
  client.close();
});

test("a connection attempt that is pending when the channel closes is not counted", async () => {
  const silent = new TcpProxy();
  const port = await silent.listen();
  const [closed, open] = [connect(port), connect(port)];
  const replies = [closed, open].map(({ client }) => unary(client, "hello"));
  await eventually(() => assert.equal(silent.connections.length, 2));
  closed.client.close();
  silent.close(); // ends both attempts
  assert.deepEqual(await Promise.all(replies), ["UNAVAILABLE", "UNAVAILABLE"]);
  await eventually(async () => {
    assert.ok(Number((await open.subchannels())["connection_attempts_failed{}"]) >= 1);
  });
  assert.deepEqual(await closed.subchannels(), {});
  open.client.close();
});

test("an unanswered keepalive ping is a timeout", async () => {
  const { server, port } = await echoServer();
  const proxy = new TcpProxy(port);
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({
    meterProvider: recording.meterProvider,
    enableMetrics: A94,
    optionalLabels: ["grpc.disconnect_error"],
  });
  const client = echoClient(
    `localhost:${await proxy.listen()}`,
    otel.clientOptions({
      "grpc.use_local_subchannel_pool": 1,
      "grpc.keepalive_time_ms": 200,
      "grpc.keepalive_timeout_ms": 200,
      "grpc.keepalive_permit_without_calls": 1,
    }),
  );
  assert.equal(await unary(client, "hello"), "hello");
  proxy.connections.at(-1)!.unpipe().pause();
  await eventuallyEqual(() => subchannelSeries(recording), {
    "connection_attempts_succeeded{}": "1",
    "disconnections{disconnect_error=connection timed out}": "1",
    "open_connections{}": "0",
  });
  stop(client, server);
  proxy.close();
});

test("a connection that channels share is counted once", async () => {
  const { server, port } = await echoServer();
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({
    meterProvider: recording.meterProvider,
    enableMetrics: A94,
  });
  const clients = [1, 2].map(() => echoClient(`localhost:${port}`, otel.clientOptions()));
  for (const client of clients) assert.equal(await unary(client, "hello"), "hello");
  assert.deepEqual(await subchannelSeries(recording), {
    "connection_attempts_succeeded{}": "1",
    "open_connections{}": "1",
  });
  for (const client of clients) client.close();
  server.forceShutdown();
});
