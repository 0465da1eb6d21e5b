/** A connection is counted once, from the time that the plugin knows of it, no matter who opened it. */
import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import { echoClient, echoHandlers, echoService, listen, unary } from "../support/echo.ts";
import type { EchoClient } from "../support/echo.ts";
import { eventually, eventuallyEqual } from "../support/eventually.ts";
import { Recording } from "../support/series.ts";
import { A94, subchannelSeries } from "../support/subchannels.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

const DISCONNECT_ERROR = { optionalLabels: ["grpc.disconnect_error"] };
const OWN_POOL = { "grpc.use_local_subchannel_pool": 1 };

function plugin(
  recording: Recording,
  options: Omit<GrpcOpenTelemetryOptions, "meterProvider"> = DISCONNECT_ERROR,
): GrpcOpenTelemetry {
  const { meterProvider } = recording;
  return new GrpcOpenTelemetry({ meterProvider, enableMetrics: A94, ...options });
}

async function echoServer(
  t: TestContext,
  credentials?: grpc.ServerCredentials,
): Promise<{ server: grpc.Server; port: number }> {
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  t.after(() => server.forceShutdown());
  return { server, port: await listen(server, credentials) };
}

async function tlsServer(t: TestContext) {
  const authority = await CertificateAuthority.create(t, "ca");
  const { certificate, key } = await authority.issue("server");
  const [ca, cert_chain, private_key] = await Promise.all(
    [authority.certificate, certificate, key].map((file) => readFile(file)),
  );
  const server = await echoServer(
    t,
    // Without roots, Deno sends clients those of the system as if they were the certificate's chain.
    grpc.ServerCredentials.createSsl(ca!, [{ cert_chain: cert_chain!, private_key: private_key! }]),
  );
  return { ...server, credentials: grpc.credentials.createSsl(ca!) };
}

async function tcpProxy(t: TestContext, upstream?: number) {
  const proxy = new TcpProxy(upstream);
  t.after(() => proxy.close());
  return { proxy, port: await proxy.listen() };
}

/** The series of a connection that is open. */
const OPEN = { "connection_attempts_succeeded{}": "1", "open_connections{}": "1" };

/** The series of a connection that has ended. */
function ended(reason: string): Record<string, string> {
  return {
    "connection_attempts_succeeded{}": "1",
    [`disconnections{disconnect_error=${reason}}`]: "1",
    "open_connections{}": "0",
  };
}

/** Makes a call with each client, one after the other. */
async function callEach(t: TestContext, ...clients: EchoClient[]): Promise<void> {
  for (const client of clients) {
    t.after(() => client.close());
    assert.equal(await unary(client, "hello", { deadline: Date.now() + 10_000 }), "hello");
  }
}

test("a connection that a channel without the plugin opened is open until it ends", async (t) => {
  const { server, port } = await echoServer(t);
  const recording = new Recording();
  const target = `localhost:${port}`;
  const bare = echoClient(target, {});
  await callEach(t, bare);
  await callEach(t, echoClient(target, plugin(recording).clientOptions()));
  assert.deepEqual(await subchannelSeries(recording), OPEN);
  await new Promise((resolve) => server.tryShutdown(resolve));
  await eventuallyEqual(() => subchannelSeries(recording), ended("GOAWAY NO_ERROR"));
});

test("a connection of a closed channel is open as long as another channel uses it", async (t) => {
  const { port } = await echoServer(t);
  const recording = new Recording();
  const target = `localhost:${port}`;
  const bare = echoClient(target, {});
  const recorded = echoClient(target, plugin(recording).clientOptions());
  await callEach(t, bare, recorded);
  recorded.close();
  await callEach(t, bare);
  assert.deepEqual(await subchannelSeries(recording), OPEN);
  bare.close();
  await eventuallyEqual(() => subchannelSeries(recording), ended("subchannel shutdown"));
});

test("a connection that ended before the plugin came is not counted", async (t) => {
  const { port: upstream } = await echoServer(t);
  const { proxy, port } = await tcpProxy(t, upstream);
  const recording = new Recording();
  const client = echoClient(`localhost:${port}`, OWN_POOL);
  await callEach(t, client);
  proxy.connections.at(-1)!.resetAndDestroy();
  await eventually(() =>
    assert.equal(client.getChannel().getConnectivityState(false), grpc.connectivityState.IDLE)
  );
  plugin(recording).instrumentChannel(client.getChannel());
  assert.deepEqual(await subchannelSeries(recording), {});
  await callEach(t, client);
  assert.deepEqual(await subchannelSeries(recording), OPEN);
});

for (const [pool, options] of Object.entries({ shared: {}, local: OWN_POOL })) {
  test(`the connection of a connected channel with a ${pool} pool is counted`, async (t) => {
    const { port: upstream } = await echoServer(t);
    const { proxy, port } = await tcpProxy(t, upstream);
    const recording = new Recording();
    const client = echoClient(`localhost:${port}`, options);
    await callEach(t, client);
    plugin(recording).instrumentChannel(client.getChannel());
    assert.deepEqual(await subchannelSeries(recording), OPEN);
    proxy.connections.at(-1)!.resetAndDestroy();
    await eventuallyEqual(() => subchannelSeries(recording), ended("connection reset"));
    await callEach(t, client);
    client.close();
    await eventuallyEqual(() => subchannelSeries(recording), {
      "connection_attempts_succeeded{}": "2",
      "disconnections{disconnect_error=connection reset}": "1",
      "disconnections{disconnect_error=subchannel shutdown}": "1",
      "open_connections{}": "0",
    });
  });
}

test("each connection of a round robin channel that is instrumented late is counted", async (t) => {
  const servers = [await echoServer(t), await echoServer(t)];
  const recording = new Recording();
  const client = echoClient(`ipv4:${servers.map(({ port }) => `127.0.0.1:${port}`).join(",")}`, {
    "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  });
  t.after(() => client.close());
  const peers = new Set<string>();
  await eventually(async () => {
    const call = client.UnaryEcho({ message: "hello" }, {}, () => {});
    await new Promise((resolve) => call.on("status", resolve));
    peers.add(call.getPeer());
    assert.equal(peers.size, 2);
  });
  plugin(recording).instrumentChannel(client.getChannel());
  assert.deepEqual(await subchannelSeries(recording), {
    "connection_attempts_succeeded{}": "2",
    "open_connections{}": "2",
  });
  await new Promise((resolve) => servers[0]!.server.tryShutdown(resolve));
  await eventually(async () => {
    const series = await subchannelSeries(recording);
    assert.equal(series["disconnections{disconnect_error=GOAWAY NO_ERROR}"], "1");
    assert.equal(series["open_connections{}"], "1");
  });
});

for (const state of ["CONNECTING", "READY"] as const) {
  test(`a channel that is instrumented when it turns ${state} is counted once`, async (t) => {
    const { port } = await echoServer(t);
    const recording = new Recording();
    const otel = plugin(recording);
    const client = echoClient(`localhost:${port}`, OWN_POOL);
    const channel = client.getChannel();
    const instrumentAt = (current: grpc.connectivityState) =>
      channel.watchConnectivityState(current, Date.now() + 10_000, () => {
        const next = channel.getConnectivityState(false);
        if (next === grpc.connectivityState[state]) otel.instrumentChannel(channel);
        else instrumentAt(next);
      });
    instrumentAt(grpc.connectivityState.IDLE);
    await callEach(t, client);
    assert.deepEqual(await subchannelSeries(recording), OPEN);
    client.close();
    await eventuallyEqual(() => subchannelSeries(recording), ended("subchannel shutdown"));
  });
}

test("an earlier connection with TLS has its security level, and the next one too", async (t) => {
  const { port: upstream, credentials } = await tlsServer(t);
  const { proxy, port } = await tcpProxy(t, upstream);
  const recording = new Recording();
  const otel = plugin(recording, { optionalLabels: ["grpc.security_level"] });
  const client = echoClient(`localhost:${port}`, OWN_POOL, credentials);
  await callEach(t, client);
  otel.instrumentChannel(client.getChannel());
  const open = "open_connections{security_level=privacy_and_integrity}";
  assert.deepEqual(await subchannelSeries(recording), {
    "connection_attempts_succeeded{}": "1",
    [open]: "1",
  });
  proxy.connections.at(-1)!.resetAndDestroy();
  await eventuallyEqual(() => subchannelSeries(recording), {
    "connection_attempts_succeeded{}": "1",
    "disconnections{}": "1",
    [open]: "0",
  });
  await callEach(t, client);
  assert.deepEqual(await subchannelSeries(recording), {
    "connection_attempts_succeeded{}": "2",
    "disconnections{}": "1",
    [open]: "1",
  });
});

test("an attempt that is in progress when a channel is instrumented is counted", async (t) => {
  // Up to grpc-js 1.12, only the handshake of TLS can be waited for.
  const { server, port: upstream, credentials } = await tlsServer(t);
  const { proxy, port } = await tcpProxy(t);
  const recording = new Recording();
  const client = echoClient(`localhost:${port}`, OWN_POOL, credentials);
  t.after(() => client.close());
  const reply = unary(client, "hello", { deadline: Date.now() + 10_000 });
  await eventually(() => assert.equal(proxy.connections.length, 1));
  plugin(recording).instrumentChannel(client.getChannel());
  assert.deepEqual(await subchannelSeries(recording), {});
  proxy.forward(proxy.connections[0]!, upstream);
  assert.equal(await reply, "hello");
  assert.deepEqual(await subchannelSeries(recording), OPEN);
  await new Promise((resolve) => server.tryShutdown(resolve));
  await eventuallyEqual(() => subchannelSeries(recording), ended("GOAWAY NO_ERROR"));
});

test("an unanswered keepalive ping of an earlier connection is a timeout", async (t) => {
  const { port: upstream } = await echoServer(t);
  const { proxy, port } = await tcpProxy(t, upstream);
  const recording = new Recording();
  const client = echoClient(`localhost:${port}`, {
    ...OWN_POOL,
    "grpc.keepalive_time_ms": 200,
    "grpc.keepalive_timeout_ms": 200,
    "grpc.keepalive_permit_without_calls": 1,
  });
  await callEach(t, client);
  plugin(recording).instrumentChannel(client.getChannel());
  proxy.connections.at(-1)!.unpipe().pause();
  await eventuallyEqual(() => subchannelSeries(recording), ended("connection timed out"));
});

test("plugins of one meter provider count a connection once", async (t) => {
  const { server, port } = await echoServer(t);
  const recording = new Recording();
  const wrapped = {
    getMeter: (...args: Parameters<typeof recording.meterProvider.getMeter>) =>
      recording.meterProvider.getMeter(...args),
  };
  const plugins = [
    plugin(recording),
    plugin(recording),
    new GrpcOpenTelemetry({ meterProvider: wrapped, enableMetrics: A94 }),
  ];
  const target = `localhost:${port}`;
  await callEach(t, ...plugins.map((otel) => echoClient(target, otel.clientOptions())));
  const channel = echoClient(target, {});
  await callEach(t, channel);
  for (const otel of plugins) otel.instrumentChannel(channel.getChannel());
  assert.deepEqual(await subchannelSeries(recording), OPEN);
  await new Promise((resolve) => server.tryShutdown(resolve));
  await eventuallyEqual(() => subchannelSeries(recording), ended("GOAWAY NO_ERROR"));
});

test("plugins of one meter provider count a failed attempt once", async (t) => {
  const { server, port } = await echoServer(t);
  server.forceShutdown();
  const recording = new Recording();
  const client = echoClient(`127.0.0.1:${port}`, {
    ...OWN_POOL,
    "grpc.initial_reconnect_backoff_ms": 60_000,
  });
  t.after(() => client.close());
  for (let i = 0; i < 3; i++) plugin(recording).instrumentChannel(client.getChannel());
  assert.equal(await unary(client, "hello"), "UNAVAILABLE");
  assert.deepEqual(await subchannelSeries(recording), { "connection_attempts_failed{}": "1" });
});

test("plugins of two meter providers each count a connection once", async (t) => {
  const { server, port } = await echoServer(t);
  const recordings = [new Recording(), new Recording()];
  const target = `localhost:${port}`;
  const clients = recordings.map((each) => echoClient(target, plugin(each).clientOptions()));
  await Promise.all(clients.map((client) => callEach(t, client)));
  for (const recording of recordings) {
    assert.deepEqual(await subchannelSeries(recording), OPEN);
  }
  await new Promise((resolve) => server.tryShutdown(resolve));
  for (const recording of recordings) {
    await eventuallyEqual(() => subchannelSeries(recording), ended("GOAWAY NO_ERROR"));
  }
});

test("each metric counts a connection with the labels of the plugin that turns it on first", async (t) => {
  const { port } = await echoServer(t);
  const recording = new Recording();
  const openOnly = plugin(recording, { enableMetrics: ["grpc.subchannel.open_connections"] });
  const all = plugin(recording, {
    optionalLabels: ["grpc.disconnect_error", "grpc.security_level"],
  });
  const clients = [openOnly, all]
    .map((otel) => echoClient(`localhost:${port}`, otel.clientOptions()));
  await callEach(t, ...clients);
  for (const client of clients) client.close();
  await eventuallyEqual(() => subchannelSeries(recording), ended("subchannel shutdown"));
});
