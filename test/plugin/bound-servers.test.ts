/** Servers that are bound to a port, or have a connection injector, when they are instrumented. */
import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import { echoClient, echoHandlers, echoService, listen, readAll, unary } from "../support/echo.ts";
import type { EchoClient } from "../support/echo.ts";
import { serverSeries } from "../support/echo-pair.ts";
import { eventually, eventuallyEqual } from "../support/eventually.ts";
import { Recording } from "../support/series.ts";

const HELLO = serverSeries("UnaryEcho", "OK", { sent: 7, received: 7 });
const MISSING = serverSeries("other", "UNIMPLEMENTED", { sent: 0, received: 0 });

/** Creates an Echo server that no plugin knows yet. It is shut down when the test ends. */
function bareServer(t: TestContext, options: grpc.ServerOptions = {}): grpc.Server {
  const server = new grpc.Server(options);
  server.addService(echoService, echoHandlers);
  t.after(() => server.forceShutdown());
  return server;
}

/** Creates a client of a port with a connection of its own. It is closed when the test ends. */
function bareClient(t: TestContext, target: number | string): EchoClient {
  const address = typeof target === "number" ? `localhost:${target}` : target;
  const client = echoClient(address, { "grpc.use_local_subchannel_pool": 1 });
  t.after(() => client.close());
  return client;
}

function instrument(server: grpc.Server): Recording {
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider });
  for (let i = 0; i < 2; i++) assert.equal(otel.instrumentServer(server), server);
  return recording;
}

/** Calls a method that the server does not have. */
function callMissing(client: EchoClient): Promise<number | undefined> {
  const none = () => Buffer.alloc(0);
  return new Promise((resolve) => {
    client.makeUnaryRequest("/t.S/Missing", none, none, {}, (error) => resolve(error?.code));
  });
}

for (const channelz of [1, 0]) {
  test(`a server that is bound is recorded from its next stream on, with channelz ${channelz}`, async (t) => {
    const server = bareServer(t, { "grpc.enable_channelz": channelz });
    const client = bareClient(t, await listen(server));
    assert.equal(await unary(client, "before"), "before");
    const inFlight = client.BidirectionalStreamingEcho();
    inFlight.write({ message: "a" });
    await once(inFlight, "data");

    const first = instrument(server);
    const second = instrument(server);
    assert.equal(await unary(client, "hello"), "hello");
    assert.equal(await callMissing(client), grpc.status.UNIMPLEMENTED);
    inFlight.write({ message: "b" });
    inFlight.end();
    assert.deepEqual(await readAll(inFlight), ["b"]);
    for (const recording of [first, second]) {
      await eventuallyEqual(() => recording.series(), { ...HELLO, ...MISSING });
    }
  });
}

test("a server that is being bound is recorded", async (t) => {
  const server = bareServer(t);
  const { http2Servers } = server as unknown as { http2Servers: Map<object, unknown> };
  const { set } = http2Servers;
  let recording: Recording | undefined;
  // The HTTP/2 server has its listeners, and grpc-js is about to add it to the others.
  http2Servers.set = function (...args) {
    http2Servers.set = set;
    recording = instrument(server);
    return http2Servers.set(...args);
  };
  const client = bareClient(t, await listen(server));
  assert.equal(await unary(client, "hello"), "hello");
  await eventuallyEqual(() => recording!.series(), HELLO);
});

test("ports that are bound before and after are recorded", async (t) => {
  const server = bareServer(t);
  const ports = [await listen(server), await listen(server)];
  const recording = instrument(server);
  ports.push(await listen(server));
  for (const port of ports) {
    assert.equal(await unary(bareClient(t, port), "hello"), "hello");
  }
  await eventuallyEqual(
    () => recording.series(),
    serverSeries("UnaryEcho", "OK", { sent: 21, received: 21, count: 3 }),
  );
});

test("a port with TLS is recorded", async (t) => {
  const authority = await CertificateAuthority.create(t, "bound servers");
  const { certificate, key } = await authority.issue("server");
  const root = await readFile(authority.certificate);
  const identity = { cert_chain: await readFile(certificate), private_key: await readFile(key) };
  const server = bareServer(t);
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createSsl(root, [identity]);
    server.bindAsync("localhost:0", credentials, (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
  const Client = grpc.makeClientConstructor(echoService, "Echo");
  const client = new Client(
    `localhost:${port}`,
    grpc.credentials.createSsl(root),
  ) as unknown as EchoClient;
  t.after(() => client.close());
  assert.equal(await unary(client, "before"), "before");
  const recording = instrument(server);
  assert.equal(await unary(client, "hello"), "hello");
  await eventuallyEqual(() => recording.series(), HELLO);
});

test("a connection injector that exists is recorded", async (t) => {
  const server = bareServer(t);
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  const listener = createServer((socket) => injector.injectConnection(socket));
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  t.after(() => listener.close());
  const { port } = listener.address() as AddressInfo;
  const client = bareClient(t, port);
  assert.equal(await unary(client, "before"), "before");
  const recording = instrument(server);
  assert.equal(await unary(client, "hello"), "hello");
  await eventuallyEqual(() => recording.series(), HELLO);
  injector.destroy();
});

test("a server that was instrumented late closes its connections and ports as before", async (t) => {
  const server = bareServer(t, { "grpc.max_connection_idle_ms": 100 });
  const ports = [await listen(server), await listen(server), await listen(server)];
  const [idle, drained, unbound] = ports.map((port) => bareClient(t, port)) as [
    EchoClient,
    EchoClient,
    EchoClient,
  ];
  const recording = instrument(server);
  for (const client of [idle, drained, unbound]) {
    assert.equal(await unary(client, "hello"), "hello");
  }
  const state = (client: EchoClient) => client.getChannel().getConnectivityState(false);

  // A connection with a call is not idle.
  const hanging = unary(drained, "hang");
  await eventuallyEqual(() => state(idle), grpc.connectivityState.IDLE);
  assert.equal(state(drained), grpc.connectivityState.READY);
  server.drain(`127.0.0.1:${ports[1]}`, 10);
  assert.match(await hanging, /^(CANCELLED|UNAVAILABLE)$/);
  server.unbind(`127.0.0.1:${ports[2]}`);
  await eventually(async () => assert.equal(await unary(unbound, "hello"), "UNAVAILABLE"));

  assert.equal(await unary(idle, "hello"), "hello");
  const stopped = new Promise<Error | undefined>((resolve) => server.tryShutdown(resolve));
  assert.equal(await stopped, undefined);
  assert.equal(await unary(idle, "hello"), "UNAVAILABLE");
  const started = "grpc.server.call.started{method=grpc.examples.echo.Echo/UnaryEcho}";
  await eventually(async () => {
    const series = await recording.series();
    const ended = Object.entries(series).filter(([name]) => name.includes("call.duration"));
    assert.equal(ended.reduce((sum, [, count]) => sum + Number(count), 0), Number(series[started]));
  });
});
