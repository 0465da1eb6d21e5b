/** The TLS handshakes of servers (gRFC A118) with clients that have each kind of fault. */
import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { createConnection, createServer, Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { TestContext } from "node:test";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { hookServerConnections } from "../../plugin/server/connection-hooks.ts";
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
import { opensslClient } from "../support/openssl.ts";
import { Recording } from "../support/series.ts";
import { flipping, TcpProxy } from "../support/tcp-proxy.ts";

const made = await certificates({ after });
const { root, good } = made;
const isDeno = "Deno" in globalThis;
const isBun = "Bun" in globalThis;

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

/** Creates an Echo server, which is shut down when the test ends. */
function echoServer(t: TestContext): grpc.Server {
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  t.after(() => server.forceShutdown());
  return server;
}

/** Creates a client with a connection of its own. */
function echo(t: TestContext, port: number, authority = root): EchoClient {
  const client = echoClient(
    `localhost:${port}`,
    { "grpc.use_local_subchannel_pool": 1, "grpc.initial_reconnect_backoff_ms": 100_000 },
    grpc.credentials.createSsl(authority),
  );
  t.after(() => client.close());
  return client;
}

type Act = (t: TestContext, port: number) => unknown;

/** Connects with OpenSSL, which trusts only the authority of the tests. */
function openssl(...args: string[]): Act {
  return (t, port) =>
    opensslClient(t, port, "-CAfile", made.rootPath, "-verify_return_error", ...args);
}

function withCertificate({ certificate, key }: KeyPair): string[] {
  return [...H2, "-cert", certificate, "-key", key];
}

/** Connects without TLS. */
function tcp(act: (socket: Socket) => unknown): Act {
  return async (t, port) => {
    const socket = createConnection(port, "127.0.0.1").on("error", () => {});
    t.after(() => void socket.destroy());
    await once(socket, "connect");
    act(socket);
  };
}

const tampered: Act = async (t, port) => {
  const proxy = new TcpProxy(port, { up: () => flipping(1) });
  t.after(() => proxy.close());
  openssl(...H2)(t, await proxy.listen());
};

interface Fault {
  readonly fault: string;
  readonly client: Act;
  /** The server's certificate. */
  readonly pair?: KeyPair;
  /** Whether clients need certificates. */
  readonly mutual?: boolean;
  readonly result: string;
}

const H2 = ["-alpn", "h2"];
const UNNAMED = isDeno ? "CERTIFICATE_VERIFICATION_FAILED" : undefined;
const FAULTS: readonly Fault[] = [
  {
    fault: "speaks nothing but TLS 1.1",
    client: openssl(...H2, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
    result: isDeno ? "UNKNOWN_FAILURE" : "PROTOCOL_VERSION_UNSUPPORTED",
  },
  {
    fault: "speaks another application protocol",
    client: openssl("-alpn", "http/1.0"),
    result: "NO_APPLICATION_PROTOCOL",
  },
  {
    fault: "names no application protocol",
    client: openssl(),
    result: "NO_APPLICATION_PROTOCOL",
  },
  {
    fault: "has no common cipher in TLS 1.2",
    client: openssl(...H2, "-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"),
    result: "CIPHER_SUITE_MISMATCH",
  },
  {
    fault: "has no common cipher in TLS 1.3",
    client: openssl(...H2, "-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"),
    result: "CIPHER_SUITE_MISMATCH",
  },
  {
    fault: "speaks HTTP/1.1 without TLS",
    client: tcp((socket) => socket.write("GET / HTTP/1.1\r\n\r\n")),
    result: "UNEXPECTED_MESSAGE",
  },
  {
    fault: "speaks HTTP/2 without TLS",
    client: tcp((socket) => socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
    result: "UNEXPECTED_MESSAGE",
  },
  ...["-tls1_2", "-tls1_3"].flatMap((version) => [
    {
      fault: `has no certificate, ${version}`,
      client: openssl(...H2, version),
      mutual: true,
      result: "CERTIFICATE_VERIFICATION_FAILED",
    },
    {
      fault: `has a certificate of an unknown authority, ${version}`,
      client: openssl(version, ...withCertificate(made.foreign)),
      mutual: true,
      result: UNNAMED ?? "CERTIFICATE_AUTHORITY_INVALID",
    },
    {
      fault: `has a self-signed certificate, ${version}`,
      client: openssl(version, ...withCertificate(made.selfSigned)),
      mutual: true,
      result: "CERTIFICATE_AUTHORITY_INVALID",
    },
    {
      fault: `has an expired certificate, ${version}`,
      client: openssl(version, ...withCertificate(made.expired)),
      mutual: true,
      result: UNNAMED ?? "CERTIFICATE_EXPIRED",
    },
    {
      fault: `has a certificate of tomorrow, ${version}`,
      client: openssl(version, ...withCertificate(made.future)),
      mutual: true,
      result: UNNAMED ?? "CERTIFICATE_NOT_YET_VALID",
    },
  ]),
  {
    fault: "does not know the authority, -tls1_2",
    client: openssl(...H2, "-tls1_2"),
    pair: made.foreign,
    result: "CERTIFICATE_AUTHORITY_INVALID",
  },
  {
    fault: "does not know the authority, -tls1_3",
    client: openssl(...H2, "-tls1_3"),
    pair: made.foreign,
    result: isBun ? "UNKNOWN_FAILURE" : "CERTIFICATE_AUTHORITY_INVALID",
  },
  {
    fault: "finds the certificate expired",
    client: openssl(...H2, "-tls1_2"),
    pair: made.expired,
    result: "CERTIFICATE_EXPIRED",
  },
  {
    fault: "closes the connection",
    client: tcp((socket) => socket.end()),
    result: "PEER_CONNECTION_CLOSED",
  },
  {
    fault: "closes the connection after half a message",
    client: tcp((socket) => socket.end("\x16\x03\x01")),
    result: "PEER_CONNECTION_CLOSED",
  },
  {
    fault: "resets the connection",
    client: tcp((socket) => socket.write("\x16\x03\x01", () => socket.resetAndDestroy())),
    result: "PEER_CONNECTION_CLOSED",
  },
  {
    fault: "is cut off by somebody who changes bytes",
    client: tampered,
    result: "DECRYPTION_FAILED",
  },
];

for (const { fault, client, pair = good, mutual, result } of FAULTS) {
  test(`a server counts one handshake with the result of a client that ${fault}`, async (t) => {
    const { recording, otel } = recorded();
    const server = otel.instrumentServer(echoServer(t));
    await client(t, await listen(server, serverCredentials(root, pair, mutual)));
    // The socket closes after everything else that it can report.
    await eventuallyEqual(() => tcpSeries(recording), {
      "connections_created{}": "1",
      "connection_count{}": "0",
    });
    await eventuallyEqual(() => handshakesOf(recording, "server"), { [result]: "1" });
  });
}

test("a server counts one HANDSHAKE_TIMEOUT of a client that says nothing", async (t) => {
  const { recording, otel } = recorded();
  const server = otel.instrumentServer(echoServer(t));
  // grpc-js leaves this option of Node at its default of 120 seconds.
  const { commonServerOptions } = server as unknown as {
    commonServerOptions: { handshakeTimeout?: number };
  };
  commonServerOptions.handshakeTimeout = 50;
  await tcp(() => {})(t, await listen(server, serverCredentials(root, good)));
  await eventuallyEqual(() => handshakesOf(recording, "server"), { HANDSHAKE_TIMEOUT: "1" });
});

test("a server tells resumed handshakes from full ones", async (t) => {
  const { recording, otel } = recorded(["grpc.tls.handshake.resumed"]);
  const server = otel.instrumentServer(echoServer(t));
  const port = await listen(server, serverCredentials(root, good));
  const session = join(tmpdir(), `tls-session-${process.pid}-${port}.pem`);
  t.after(() => rmSync(session, { force: true }));
  const tls13 = [...H2, "-tls1_3"];
  const full = opensslClient(t, port, ...tls13, "-sess_out", session);
  await eventuallyEqual(() => handshakesOf(recording, "server"), {
    "SUCCESS,tls.handshake.resumed=FULL_HANDSHAKE": "1",
  });
  await eventuallyEqual(() => hasSession(session), true);
  full.kill();
  opensslClient(t, port, ...tls13, "-sess_in", session);
  await eventuallyEqual(() => handshakesOf(recording, "server"), {
    "SUCCESS,tls.handshake.resumed=FULL_HANDSHAKE": "1",
    "SUCCESS,tls.handshake.resumed=RESUMED_HANDSHAKE": "1",
  });
});

function hasSession(path: string): boolean {
  try {
    return readFileSync(path, "utf8").includes("END SSL SESSION PARAMETERS");
  } catch {
    return false;
  }
}

test("plugins of one server count each handshake once for each provider", async (t) => {
  const [one, other] = [recorded(), recorded()];
  const { meterProvider } = one.recording;
  const twin = new GrpcOpenTelemetry({ meterProvider, enableMetrics: CONNECTION_METRICS });
  const server = echoServer(t);
  for (const plugin of [one.otel, twin, other.otel]) plugin.instrumentServer(server);
  const port = await listen(server, serverCredentials(root, good));
  for (let i = 0; i < 2; i++) assert.equal(await unary(echo(t, port), "hello"), "hello");
  assert.equal(await unary(echo(t, port, made.strangerRoot), "hello"), "UNAVAILABLE");
  for (const { recording } of [one, other]) {
    await eventuallyEqual(async () => (await handshakesOf(recording, "server"))["SUCCESS"], "2");
    await eventuallyEqual(async () => (await tcpSeries(recording))["connections_created{}"], "3");
  }
});

test("a server that is bound when it is instrumented counts handshakes from then on", async (t) => {
  const server = echoServer(t);
  const port = await listen(server, serverCredentials(root, good));
  assert.equal(await unary(echo(t, port), "before"), "before");
  const { recording, otel } = recorded();
  otel.instrumentServer(server);
  assert.equal(await unary(echo(t, port), "after"), "after");
  assert.deepEqual(await handshakesOf(recording, "server"), { SUCCESS: "1" });
  assert.deepEqual(await tcpSeries(recording), {
    "connections_created{}": "2",
    "connection_count{}": "2",
  });
});

test("a server counts the handshakes of a connection injector", async (t) => {
  const { recording, otel } = recorded();
  const server = otel.instrumentServer(echoServer(t));
  const injector = server.createConnectionInjector(serverCredentials(root, good));
  const listener = createServer((socket) => injector.injectConnection(socket));
  t.after(() => {
    listener.close();
    injector.destroy();
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  assert.equal(await unary(echo(t, port), "hello"), "hello");
  openssl("-alpn", "http/1.0")(t, port);
  await eventuallyEqual(() => handshakesOf(recording, "server"), {
    SUCCESS: "1",
    NO_APPLICATION_PROTOCOL: "1",
  });
  await eventuallyEqual(() => tcpSeries(recording), {
    "connections_created{}": "2",
    "connection_count{}": "1",
  });
});

test("a server counts handshakes before and after its certificate changes", async (t) => {
  const { recording, otel } = recorded();
  const server = otel.instrumentServer(echoServer(t));
  const credentials = serverCredentials(root, good);
  const port = await listen(server, credentials);
  assert.equal(await unary(echo(t, port), "before"), "before");
  const { certificate, key } = made.foreign;
  (credentials as unknown as { updateSecureContextOptions(options: object): void })
    .updateSecureContextOptions({
      ca: root,
      cert: [readFileSync(certificate)],
      key: [readFileSync(key)],
    });
  assert.equal(await unary(echo(t, port, made.strangerRoot), "after"), "after");
  openssl(...H2, "-tls1_2")(t, port);
  await eventuallyEqual(() => handshakesOf(recording, "server"), {
    SUCCESS: "2",
    CERTIFICATE_AUTHORITY_INVALID: "1",
  });
});

test("a handshake whose failure is reported twice counts once", async (t) => {
  const { recording, otel } = recorded();
  const server = otel.instrumentServer(echoServer(t));
  await listen(server, serverCredentials(root, good));
  const { http2Servers } = server as unknown as {
    http2Servers: Map<NodeJS.EventEmitter, unknown>;
  };
  const socket = new Socket().on("error", () => {});
  for (const code of ["ERR_SSL_NO_SHARED_CIPHER", "ECONNRESET"]) {
    for (const http2Server of http2Servers.keys()) {
      http2Server.emit("tlsClientError", Object.assign(new Error(code), { code }), socket);
    }
  }
  assert.deepEqual(await handshakesOf(recording, "server"), { CIPHER_SUITE_MISMATCH: "1" });
});

test("a server without the private parts that are hooked counts nothing, with one warning", async (t) => {
  const warnings: string[] = [];
  const collect = ({ message }: Error) => void warnings.push(message.split(":")[0] ?? "");
  process.on("warning", collect);
  t.after(() => void process.off("warning", collect));
  const opaque = {} as grpc.Server;
  for (let i = 0; i < 2; i++) {
    hookServerConnections(opaque, { handshakes: undefined, tcp: undefined });
  }
  await eventuallyEqual(() => warnings, ["gRPC handshake and TCP metrics of servers are off"]);
});
