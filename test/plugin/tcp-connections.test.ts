/** The TCP connections of channels and servers (gRFC A80). */
import * as grpc from "@grpc/grpc-js";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createConnection } from "node:net";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { OpenSockets } from "../../plugin/connections/open-sockets.ts";
import { TcpMetrics } from "../../plugin/connections/tcp-metrics.ts";
import { selectMetrics } from "../../plugin/metrics/definitions.ts";
import { createInstruments } from "../../plugin/metrics/instruments.ts";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { echoClient, echoHandlers, echoService, listen, unary } from "../support/echo.ts";
import type { EchoClient } from "../support/echo.ts";
import { eventuallyEqual } from "../support/eventually.ts";
import { CONNECTION_METRICS, tcpSeries } from "../support/handshakes.ts";
import { Recording } from "../support/series.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

const ADDRESSES = [
  "network.local.address",
  "network.local.port",
  "network.peer.address",
  "network.peer.port",
] as const;

function recorded(optionalLabels: readonly string[] = []) {
  const recording = new Recording();
  const { meterProvider } = recording;
  const otel = new GrpcOpenTelemetry({
    meterProvider,
    enableMetrics: CONNECTION_METRICS,
    optionalLabels,
  });
  return { recording, otel };
}

function echoServer(t: TestContext): grpc.Server {
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  t.after(() => server.forceShutdown());
  return server;
}

function connect(t: TestContext, target: string, options: grpc.ClientOptions = {}): EchoClient {
  const client = echoClient(target, { ...options, "grpc.use_local_subchannel_pool": 1 });
  t.after(() => client.close());
  return client;
}

test("the metrics of gRFC A80 and gRFC A118 are off by default, and nothing listens", async (t) => {
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider });
  const [bare, server] = [echoServer(t), otel.instrumentServer(echoServer(t))];
  const ports = [await listen(bare), await listen(server)];
  assert.deepEqual(listeners(server), listeners(bare));
  const client = connect(t, `localhost:${ports[1]}`, otel.clientOptions());
  assert.equal(await unary(client, "hello"), "hello");
  assert.deepEqual(
    Object.keys(await recording.series()).filter((name) => /\.(tcp|tls)\./.test(name)),
    [],
  );
});

/** The number of listeners of each event of a server's HTTP/2 server. */
function listeners(server: grpc.Server): number[] {
  const { http2Servers } = server as unknown as {
    http2Servers: Map<NodeJS.EventEmitter, unknown>;
  };
  const [http2Server] = http2Servers.keys();
  return ["connection", "secureConnection", "tlsClientError", "session"]
    .map((event) => http2Server!.listenerCount(event));
}

test("a server shows its connections, each until it closes", async (t) => {
  const { recording, otel } = recorded();
  const server = otel.instrumentServer(echoServer(t));
  const port = await listen(server);
  const clients = [1, 2, 3].map(() => connect(t, `localhost:${port}`));
  for (const client of clients) assert.equal(await unary(client, "hello"), "hello");
  assert.deepEqual(await tcpSeries(recording), {
    "connections_created{}": "3",
    "connection_count{}": "3",
  });
  clients[0]!.close();
  await eventuallyEqual(() => tcpSeries(recording), {
    "connections_created{}": "3",
    "connection_count{}": "2",
  });
  server.forceShutdown();
  await eventuallyEqual(() => tcpSeries(recording), {
    "connections_created{}": "3",
    "connection_count{}": "0",
  });
});

test("both sides show the addresses and ports of a connection, also when it has closed", async (t) => {
  const [ours, theirs] = [recorded(ADDRESSES), recorded(ADDRESSES)];
  const server = theirs.otel.instrumentServer(echoServer(t));
  const port = await listen(server);
  const client = connect(t, `localhost:${port}`, ours.otel.clientOptions());
  assert.equal(await unary(client, "hello"), "hello");
  const own = await addressesOf(ours.recording);
  const clientPort = own[0]?.["network.local.port"];
  assert.match(String(clientPort), /^\d+$/);
  const [local, peer] = [["127.0.0.1", clientPort], ["127.0.0.1", String(port)]];
  assert.deepEqual(own, [labels(local, peer), labels(local, peer)]);
  assert.deepEqual(await addressesOf(theirs.recording), [labels(peer, local), labels(peer, local)]);
  client.close();
  for (const { recording } of [ours, theirs]) {
    await eventuallyEqual(async () => Object.values(await tcpSeries(recording)), ["1", "0"]);
  }
});

function labels(local: unknown[], peer: unknown[]) {
  return Object.fromEntries(ADDRESSES.map((name, i) => [name, [...local, ...peer][i]]));
}

async function addressesOf(recording: Recording) {
  return (await recording.metrics())
    .filter(({ descriptor }) => descriptor.name.startsWith("grpc.tcp."))
    .flatMap(({ dataPoints }) => dataPoints.map(({ attributes }) => ({ ...attributes })));
}

test("a server on IPv6 shows the IPv4 addresses of its clients as such", async (t) => {
  const { recording, otel } = recorded(["network.peer.address"]);
  const server = otel.instrumentServer(echoServer(t));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(
      "[::]:0",
      grpc.ServerCredentials.createInsecure(),
      (error, bound) => error ? reject(error) : resolve(bound),
    );
  });
  assert.equal(await unary(connect(t, `127.0.0.1:${port}`), "hello"), "hello");
  assert.deepEqual(await addressesOf(recording), [
    { "network.peer.address": "127.0.0.1" },
    { "network.peer.address": "127.0.0.1" },
  ]);
});

test("connections of a Unix socket have no address", async (t) => {
  const path = join(tmpdir(), `tcp-connections-${process.pid}.sock`);
  t.after(() => rm(path, { force: true }));
  const { recording, otel } = recorded(ADDRESSES);
  const server = otel.instrumentServer(echoServer(t));
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(
      `unix:${path}`,
      grpc.ServerCredentials.createInsecure(),
      (error) => error ? reject(error) : resolve(),
    );
  });
  const clients = [1, 2].map(() => connect(t, `unix:${path}`));
  for (const client of clients) assert.equal(await unary(client, "hello"), "hello");
  const none = ADDRESSES.map((name) => `${name}=`).join(",");
  assert.deepEqual(await tcpSeries(recording), {
    [`connections_created{${none}}`]: "2",
    [`connection_count{${none}}`]: "2",
  });
});

test("connections that are open when a channel or server is instrumented are open", async (t) => {
  const server = echoServer(t);
  const client = connect(t, `localhost:${await listen(server)}`);
  assert.equal(await unary(client, "before"), "before");
  const [ours, theirs, late] = [recorded(), recorded(), recorded()];
  ours.otel.instrumentChannel(client.getChannel());
  for (const { otel } of [theirs, late]) otel.instrumentServer(server);
  const open = { "connections_created{}": "1", "connection_count{}": "1" };
  for (const { recording } of [ours, theirs, late]) {
    assert.deepEqual(await tcpSeries(recording), open);
  }
  assert.equal(await unary(client, "after"), "after");
  client.close();
  for (const { recording } of [ours, theirs, late]) {
    await eventuallyEqual(() => tcpSeries(recording), { ...open, "connection_count{}": "0" });
  }
});

test("a connection that says nothing counts for the server, until it is reset", async (t) => {
  const { recording, otel } = recorded();
  const server = otel.instrumentServer(echoServer(t));
  const socket = createConnection(await listen(server), "127.0.0.1");
  t.after(() => void socket.destroy());
  await once(socket, "connect");
  await eventuallyEqual(() => tcpSeries(recording), {
    "connections_created{}": "1",
    "connection_count{}": "1",
  });
  socket.resetAndDestroy();
  await eventuallyEqual(async () => (await tcpSeries(recording))["connection_count{}"], "0");
});

test("a connection that is cut closes on both sides, and a new one opens", async (t) => {
  const [ours, theirs] = [recorded(), recorded()];
  const server = theirs.otel.instrumentServer(echoServer(t));
  const proxy = new TcpProxy(await listen(server));
  t.after(() => proxy.close());
  const client = connect(t, `localhost:${await proxy.listen()}`, ours.otel.clientOptions());
  for (let i = 1; i <= 3; i++) {
    assert.equal(await unary(client, "hello", { deadline: Date.now() + 10_000 }), "hello");
    assert.deepEqual(await tcpSeries(ours.recording), {
      "connections_created{}": `${i}`,
      "connection_count{}": "1",
    });
    proxy.connections.at(-1)!.end();
    for (const { recording } of [ours, theirs]) {
      await eventuallyEqual(() => tcpSeries(recording), {
        "connections_created{}": `${i}`,
        "connection_count{}": "0",
      });
    }
  }
});

test("a plugin that is registered globally counts the connections of both sides until it is not", async (t) => {
  const { recording, otel } = recorded();
  otel.registerGlobal();
  const server = echoServer(t);
  const address = `localhost:${await listen(server)}`;
  const client = connect(t, address);
  assert.equal(await unary(client, "hello"), "hello");
  const open = { "connections_created{}": "2", "connection_count{}": "2" };
  await eventuallyEqual(() => tcpSeries(recording), open);
  otel.deregisterGlobal();
  assert.equal(await unary(connect(t, address), "hello"), "hello");
  client.close();
  await eventuallyEqual(() => tcpSeries(recording), { ...open, "connection_count{}": "0" });
});

test("connections beyond the limit of series open and close in the overflow series", async () => {
  const recording = new Recording();
  const { tcp } = createInstruments(
    recording.meterProvider.getMeter("test"),
    selectMetrics(CONNECTION_METRICS, []),
  );
  const metrics = new TcpMetrics(tcp!, new Set(ADDRESSES), () => true);
  const sockets = new OpenSockets();
  sockets.add(metrics.recorderFor({})!);
  const opened = Array.from({ length: 3000 }, (_, i) => new FakeSocket(1000 + i));
  for (const socket of opened) sockets.opened(socket, ROOT_CONTEXT);
  const overflow = "{otel.metric.overflow=true}";
  assert.equal((await tcpSeries(recording))[`connection_count${overflow}`], "1002");
  // The SDK's own limit applies to what changes between two collections, the overflow series included.
  for (const socket of opened.toReversed()) socket.close();
  const series = Object.entries(await tcpSeries(recording));
  assert.equal(series.length, 2 * 1999);
  for (const [name, value] of series) {
    const isCount = name.startsWith("connection_count");
    assert.equal(value, isCount ? "0" : name.endsWith(overflow) ? "1002" : "1");
  }
});

/** Stands for a socket: 3000 real ones are more than a process may open. */
class FakeSocket {
  readonly localAddress = "192.0.2.1";
  readonly localPort = 50_051;
  readonly remoteAddress = "192.0.2.2";
  readonly remotePort: number;
  close = () => {};

  constructor(remotePort: number) {
    this.remotePort = remotePort;
  }

  once(_: "close", listener: () => void): void {
    this.close = listener;
  }
}
