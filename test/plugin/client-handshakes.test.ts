/** The TLS handshakes of clients (gRFC A118) with servers that have each kind of fault. */
import * as grpc from "@grpc/grpc-js";
import { createNoopMeter } from "@opentelemetry/api";
import type { MeterProvider } from "@opentelemetry/api";
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { TestContext } from "node:test";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { createSecureContext } from "node:tls";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import type { KeyPair } from "../support/certificates.ts";
import { echoClient, echoHandlers, echoService, listen, unary } from "../support/echo.ts";
import type { EchoClient } from "../support/echo.ts";
import { eventuallyEqual } from "../support/eventually.ts";
import {
  certificates,
  CONNECTION_METRICS,
  handshakesOf,
  serverCredentials,
  tcpSeries,
} from "../support/handshakes.ts";
import { opensslServer } from "../support/openssl.ts";
import { Recording } from "../support/series.ts";
import { flipping, TcpProxy } from "../support/tcp-proxy.ts";

const made = await certificates({ after });
const { root, good } = made;
const isDeno = "Deno" in globalThis;
const trusting = grpc.credentials.createSsl(root);

/** Options of a client with a connection of its own, which it tries to open once. */
const ONE_ATTEMPT = {
  "grpc.use_local_subchannel_pool": 1,
  "grpc.initial_reconnect_backoff_ms": 100_000,
};

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

/** Starts a real Echo server. */
async function echoServer(t: TestContext, pair: KeyPair = good): Promise<number> {
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  t.after(() => server.forceShutdown());
  return await listen(server, serverCredentials(root, pair));
}

/** Starts a server that has a certificate, and speaks only TLS. */
function tlsServer(t: TestContext, pair: KeyPair, ...args: string[]): Promise<number> {
  return opensslServer(t, "-cert", pair.certificate, "-key", pair.key, ...args);
}

/** Starts a server that does something with each connection once bytes of it have arrived. */
async function tcpServer(t: TestContext, act: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => act(socket));
  });
  t.after(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

async function tamperingProxy(t: TestContext, port: number): Promise<number> {
  const proxy = new TcpProxy(port, { down: () => flipping(0) });
  t.after(() => proxy.close());
  return await proxy.listen();
}

function connect(
  t: TestContext,
  port: number,
  options: grpc.ClientOptions,
  credentials = trusting,
): EchoClient {
  const client = echoClient(`localhost:${port}`, options, credentials);
  t.after(() => client.close());
  return client;
}

interface Fault {
  readonly fault: string;
  readonly server: (t: TestContext) => Promise<number>;
  readonly credentials?: grpc.ChannelCredentials;
  readonly result: string;
}

const H2 = ["-alpn", "h2"];
const FAULTS: readonly Fault[] = [
  {
    fault: "an unknown authority",
    server: (t) => tlsServer(t, made.foreign, ...H2),
    result: isDeno ? "CERTIFICATE_VERIFICATION_FAILED" : "CERTIFICATE_AUTHORITY_INVALID",
  },
  {
    fault: "a self-signed certificate",
    server: (t) => tlsServer(t, made.selfSigned, ...H2),
    result: "CERTIFICATE_AUTHORITY_INVALID",
  },
  {
    fault: "an expired certificate",
    server: (t) => tlsServer(t, made.expired, ...H2),
    result: isDeno ? "CERTIFICATE_VERIFICATION_FAILED" : "CERTIFICATE_EXPIRED",
  },
  {
    fault: "a certificate of tomorrow",
    server: (t) => tlsServer(t, made.future, ...H2),
    result: isDeno ? "CERTIFICATE_VERIFICATION_FAILED" : "CERTIFICATE_NOT_YET_VALID",
  },
  {
    fault: "the certificate of another host",
    server: (t) => tlsServer(t, made.otherHost, ...H2),
    result: "CERTIFICATE_HOSTNAME_MISMATCH",
  },
  {
    fault: "nothing but TLS 1.1",
    server: (t) => tlsServer(t, good, ...H2, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
    result: "PROTOCOL_VERSION_UNSUPPORTED",
  },
  {
    fault: "another application protocol",
    server: (t) => tlsServer(t, good, "-alpn", "http/1.1"),
    result: "NO_APPLICATION_PROTOCOL",
  },
  {
    fault: "no common cipher",
    server: (t) => tlsServer(t, good, ...H2, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"),
    credentials: grpc.credentials.createFromSecureContext(createSecureContext({
      ca: root,
      ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384",
      maxVersion: "TLSv1.2",
    })),
    result: "UNKNOWN_FAILURE",
  },
  {
    fault: "the wish for a client certificate in TLS 1.2",
    server: (t) => tlsServer(t, good, ...H2, "-tls1_2", "-Verify", "1"),
    result: "UNKNOWN_FAILURE",
  },
  {
    fault: "no TLS, but HTTP/1.1",
    server: (t) => tcpServer(t, (socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n")),
    result: "UNEXPECTED_MESSAGE",
  },
  {
    fault: "no TLS, but HTTP/2",
    server: (t) => tcpServer(t, (socket) => socket.write("\0\0\0\x04\0\0\0\0\0")),
    result: "UNEXPECTED_MESSAGE",
  },
  {
    fault: "a closed connection",
    server: (t) => tcpServer(t, (socket) => socket.end()),
    result: "PEER_CONNECTION_CLOSED",
  },
  {
    fault: "a reset connection",
    server: (t) => tcpServer(t, (socket) => socket.resetAndDestroy()),
    result: "PEER_CONNECTION_CLOSED",
  },
  {
    fault: "half a message, after which the connection closes",
    server: (t) => tcpServer(t, (socket) => socket.end("\x16\x03\x03\x01\x00")),
    result: "PEER_CONNECTION_CLOSED",
  },
  {
    fault: "bytes that somebody changed",
    server: async (t) => tamperingProxy(t, await tlsServer(t, good, ...H2)),
    result: "DECRYPTION_FAILED",
  },
];

for (const { fault, server, credentials, result } of FAULTS) {
  test(`a client that is shown ${fault} counts one handshake with its result`, async (t) => {
    const { recording, otel } = recorded();
    const client = connect(t, await server(t), otel.clientOptions(ONE_ATTEMPT), credentials);
    assert.equal(await unary(client, "hello"), "UNAVAILABLE");
    // The socket closes after everything else that it can report.
    await eventuallyEqual(() => tcpSeries(recording), {
      "connections_created{}": "1",
      "connection_count{}": "0",
    });
    assert.deepEqual(await handshakesOf(recording, "client"), { [result]: "1" });
  });
}

test("a client with a revocation list counts a revoked certificate, unless the runtime ignores it", async (t) => {
  const { recording, otel } = recorded();
  const port = await tlsServer(t, made.revoked, ...H2);
  const context = createSecureContext({ ca: root, crl: made.revocations });
  const credentials = grpc.credentials.createFromSecureContext(context);
  const client = connect(t, port, otel.clientOptions(ONE_ATTEMPT), credentials);
  void unary(client, "hello", { deadline: Date.now() + 5000 });
  const result = isDeno ? "SUCCESS" : "CERTIFICATE_REVOKED";
  await eventuallyEqual(() => handshakesOf(recording, "client"), { [result]: "1" });
});

test("a client that is shown no application protocol counts one NO_APPLICATION_PROTOCOL", async (t) => {
  const { recording, otel } = recorded();
  const client = connect(t, await tlsServer(t, good), otel.clientOptions(ONE_ATTEMPT));
  void unary(client, "hello", { deadline: Date.now() + 5000 });
  await eventuallyEqual(() => handshakesOf(recording, "client"), { NO_APPLICATION_PROTOCOL: "1" });
});

test("a client without the certificate that TLS 1.3 asks for counts one SUCCESS", async (t) => {
  const { recording, otel } = recorded();
  const port = await tlsServer(t, good, ...H2, "-tls1_3", "-Verify", "1", "-verify_return_error");
  const client = connect(t, port, otel.clientOptions(ONE_ATTEMPT));
  // Before grpc-js 1.13, the call is on the connection already when that fails.
  assert.match(await unary(client, "hello"), /^(UNAVAILABLE|INTERNAL)$/);
  assert.deepEqual(await handshakesOf(recording, "client"), { SUCCESS: "1" });
});

test("a client counts each handshake of a connection that opens again, with all labels", async (t) => {
  const proxy = new TcpProxy(await echoServer(t));
  t.after(() => proxy.close());
  const { recording, otel } = recorded([
    "grpc.tls.handshake.resumed",
    "grpc.lb.locality",
    "grpc.lb.backend_service",
  ]);
  const port = await proxy.listen();
  const client = connect(t, port, otel.clientOptions({ "grpc.use_local_subchannel_pool": 1 }));
  assert.equal(await unary(client, "hello"), "hello");
  proxy.connections[0]!.resetAndDestroy();
  await eventuallyEqual(async () => (await tcpSeries(recording))["connection_count{}"], "0");
  const retried = { deadline: Date.now() + 10_000 };
  assert.equal(await unary(client, "hello", retried), "hello");
  const metrics = await recording.metrics();
  const handshakes = metrics.find(({ descriptor }) =>
    descriptor.name === "grpc.client.tls.handshakes"
  );
  assert.deepEqual(
    handshakes?.dataPoints.map(({ attributes, value }) => ({ ...attributes, value })),
    [{
      "grpc.tls.handshake.result": "SUCCESS",
      "grpc.target": `dns:///localhost:${port}`,
      "grpc.tls.handshake.resumed": "FULL_HANDSHAKE",
      "grpc.lb.locality": "",
      "grpc.lb.backend_service": "",
      value: 2,
    }],
  );
});

test("a connection attempt that is refused is no handshake", async (t) => {
  const server = new grpc.Server();
  const port = await listen(server);
  server.forceShutdown();
  const { recording, otel } = recorded();
  const client = connect(t, port, otel.clientOptions(ONE_ATTEMPT));
  assert.equal(await unary(client, "hello"), "UNAVAILABLE");
  assert.deepEqual(await handshakesOf(recording, "client"), {});
  assert.deepEqual(await tcpSeries(recording), {});
});

test("plugins and channels that share a connection count its handshake once for each provider", async (t) => {
  const port = await echoServer(t);
  const [one, other] = [recorded(), recorded()];
  const { meterProvider } = one.recording;
  const twin = new GrpcOpenTelemetry({ meterProvider, enableMetrics: CONNECTION_METRICS });
  for (let i = 0; i < 2; i++) {
    const client = connect(t, port, one.otel.clientOptions());
    for (const plugin of [twin, other.otel]) plugin.instrumentChannel(client.getChannel());
    assert.equal(await unary(client, "hello"), "hello");
  }
  for (const { recording } of [one, other]) {
    assert.deepEqual(await handshakesOf(recording, "client"), { SUCCESS: "1" });
    assert.deepEqual(await tcpSeries(recording), {
      "connections_created{}": "1",
      "connection_count{}": "1",
    });
  }
});

test("a connection without TLS has no handshake", async (t) => {
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  t.after(() => server.forceShutdown());
  const { recording, otel } = recorded();
  const insecure = grpc.credentials.createInsecure();
  const client = connect(t, await listen(server), otel.clientOptions(ONE_ATTEMPT), insecure);
  assert.equal(await unary(client, "hello"), "hello");
  assert.deepEqual(await handshakesOf(recording, "client"), {});
});

/** A meter whose counters throw, as those of a broken SDK. */
const broken: MeterProvider = {
  getMeter: () => {
    const failing = {
      add() {
        throw new Error("planned");
      },
    };
    return Object.assign(createNoopMeter(), {
      createCounter: () => failing,
      createUpDownCounter: () => failing,
    });
  },
};

test("counters that throw break neither handshakes nor other plugins' counts", async (t) => {
  const { recording, otel } = recorded();
  const failing = new GrpcOpenTelemetry({
    meterProvider: broken,
    enableMetrics: CONNECTION_METRICS,
  });
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  t.after(() => server.forceShutdown());
  for (const plugin of [failing, otel]) plugin.instrumentServer(server);
  const port = await listen(server, serverCredentials(root, good));
  const client = connect(t, port, failing.clientOptions(otel.clientOptions(ONE_ATTEMPT)));
  assert.equal(await unary(client, "hello"), "hello");
  for (const side of ["client", "server"] as const) {
    assert.deepEqual(await handshakesOf(recording, side), { SUCCESS: "1" });
  }
  assert.deepEqual(await tcpSeries(recording), {
    "connections_created{}": "2",
    "connection_count{}": "2",
  });
});

test("without the private parts of subchannels, connections are counted once they are ready, with one warning", async (t) => {
  const warnings: string[] = [];
  const collect = ({ message }: Error) => void warnings.push(message.split(",")[0] ?? "");
  process.on("warning", collect);
  t.after(() => void process.off("warning", collect));
  const { recording, otel } = recorded();
  const port = await echoServer(t);
  for (let i = 0; i < 2; i++) {
    const client = connect(
      t,
      port,
      otel.clientOptions({ ...ONE_ATTEMPT, channelFactoryOverride: withOpaqueSubchannels }),
    );
    assert.equal(await unary(client, "hello"), "hello");
  }
  assert.deepEqual(await handshakesOf(recording, "client"), {});
  await eventuallyEqual(() => tcpSeries(recording), {
    "connections_created{}": "2",
    "connection_count{}": "2",
  });
  await eventuallyEqual(() => warnings, ["gRPC handshake metrics are off"]);
});

interface Subchannels {
  readonly internalChannel: {
    subchannelPool: { getOrCreateSubchannel(...args: unknown[]): object };
  };
}

/** Creates a channel whose subchannels hide how they connect. */
const withOpaqueSubchannels: NonNullable<grpc.ClientOptions["channelFactoryOverride"]> = (
  ...args
) => {
  const channel = new grpc.Channel(...args);
  const { subchannelPool } = (channel as unknown as Subchannels).internalChannel;
  const { getOrCreateSubchannel } = subchannelPool;
  subchannelPool.getOrCreateSubchannel = (...address) =>
    new Proxy(getOrCreateSubchannel.apply(subchannelPool, address), {
      get(subchannel, name) {
        if (name === "secureConnector" || name === "connector") return undefined;
        const value: unknown = Reflect.get(subchannel, name);
        return typeof value === "function" ? value.bind(subchannel) : value;
      },
    });
  return channel;
};
