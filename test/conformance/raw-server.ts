/**
 * An HTTP/2 server that misbehaves as planned, in ways that no gRPC server does. Its arguments are the
 * plans of its streams in order; further streams follow the last plan. It prints its process id, its
 * port, and a line for each stream. On SIGUSR2 it sends GOAWAY with ENHANCE_YOUR_CALM to all clients.
 *
 *     node raw-server.ts refuse ok
 *
 * @module
 */
import { constants, createServer } from "node:http2";
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { Duplex } from "node:stream";

const GRPC = { ":status": 200, "content-type": "application/grpc" };

/** A gRPC frame with a message of 5 bytes, the text `raw`. */
const MESSAGE = Buffer.from([0, 0, 0, 0, 5, 0x0a, 3, ...Buffer.from("raw")]);

type Plan = (stream: ServerHttp2Stream, socket: Socket) => void;

const PLANS: Record<string, Plan> = {
  /** Answers like a gRPC server. */
  ok: (stream) => answer(stream, { "grpc-status": "0" }),
  /** Sends a GOAWAY that says that no stream was processed. */
  goaway0: (_stream, socket) => socket.write(GOAWAY_LAST_STREAM_0),
  /** Closes the connection before any header. */
  close: (_stream, socket) => socket.destroy(),
  "close-after-headers": (stream, socket) => {
    stream.respond(GRPC);
    setImmediate(() => socket.end());
  },
  "data-then-close": (stream, socket) => {
    stream.respond(GRPC);
    stream.write(MESSAGE, () => setImmediate(() => socket.end()));
  },
  http503: (stream) => stream.respond({ ":status": 503 }, { endStream: true }),
  http404: (stream) => {
    stream.respond({ ":status": 404, "content-type": "text/html" });
    stream.end("<html>not found</html>");
  },
  /** Ends the response without trailers. */
  nostatus: (stream) => {
    stream.respond(GRPC);
    stream.end();
  },
  /** Sends headers only, without a status. */
  "nostatus-headers-only": (stream) => stream.respond(GRPC, { endStream: true }),
  /** Sends a message, but no status. */
  "data-nostatus": (stream) => {
    stream.respond(GRPC);
    stream.end(MESSAGE);
  },
  /** Sends the status before it reads the request. */
  "trailersonly-unavailable": (stream) =>
    stream.respond(
      { ...GRPC, "grpc-status": "14", "grpc-message": "planned" },
      {
        endStream: true,
      },
    ),
  "trailersonly-ok": (stream) =>
    stream.respond({ ...GRPC, "grpc-status": "0" }, { endStream: true }),
  /** Sends only the first bytes of a message. */
  "truncated-message": (stream) => {
    stream.respond(GRPC, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(MESSAGE.subarray(0, 7));
  },
  /** Never answers. */
  hang: () => {},
};

for (
  const [name, code] of Object.entries({
    refuse: constants.NGHTTP2_REFUSED_STREAM,
    "rst-no-error": constants.NGHTTP2_NO_ERROR,
    "rst-protocol-error": constants.NGHTTP2_PROTOCOL_ERROR,
    "rst-internal-error": constants.NGHTTP2_INTERNAL_ERROR,
    "rst-cancel": constants.NGHTTP2_CANCEL,
    "rst-calm": constants.NGHTTP2_ENHANCE_YOUR_CALM,
    "rst-security": constants.NGHTTP2_INADEQUATE_SECURITY,
  })
) {
  PLANS[name] = (stream) => stream.close(code);
}

/** A GOAWAY frame with last stream 0 and no error, which Node itself cannot send. */
const GOAWAY_LAST_STREAM_0 = Buffer.from("000008070000000000" + "0000000000000000", "hex");

function answer(stream: ServerHttp2Stream, trailers: Record<string, string>): void {
  stream.respond(GRPC, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end(MESSAGE);
}

/** Forwards bytes, so that frames can be written between those of the HTTP/2 session. */
class PassThroughSocket extends Duplex {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.on("data", (chunk) => this.push(chunk) || socket.pause());
    socket.on("end", () => this.push(null));
    socket.on("close", () => this.destroy());
    socket.on("error", () => this.destroy());
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(done);
  }

  override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done();
  }
}

const plans = process.argv.slice(2);
for (const name of plans) {
  if (!(name in PLANS)) throw new Error(`there is no plan ${name}`);
}

let streams = 0;
const http2Server = createServer();
const sessions = new Set<ServerHttp2Session>();
http2Server.on("sessionError", () => {});
http2Server.on("session", (session) => {
  sessions.add(session);
  session.on("close", () => sessions.delete(session));
});
process.on("SIGUSR2", () => {
  for (const session of sessions) {
    session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
});

const tcpServer = createTcpServer((socket) => {
  http2Server.once("session", (session) => {
    session.on("stream", (stream, headers) => {
      stream.on("error", () => {});
      const name = plans[Math.min(streams++, plans.length - 1)] ?? "";
      const plan = PLANS[name]!;
      console.log(`stream ${name} ${headers["grpc-previous-rpc-attempts"] ?? 0}`);
      // Reads the request to its end first, unless the plan is to answer before.
      if (name.startsWith("trailersonly")) plan(stream, socket);
      else stream.resume().on("end", () => plan(stream, socket));
    });
  });
  http2Server.emit("connection", new PassThroughSocket(socket));
});
tcpServer.listen(0, "127.0.0.1", () => {
  console.log(`Process ${process.pid}`);
  console.log(`Listening on ${(tcpServer.address() as AddressInfo).port}`);
});
