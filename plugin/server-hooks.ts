/**
 * The server's boundary to grpc-js: the only file that knows the private shape of its servers.
 *
 * grpc-js has no stats hook, and server interceptors never see a method that nobody registered nor
 * compressed sizes. What sees every call is the handler of HTTP/2 streams; it is replaced on the
 * one instance. From there on only Node's public HTTP/2 stream is used.
 */
import { status as Status } from "@grpc/grpc-js";
import type { Server } from "@grpc/grpc-js";
import { constants } from "node:http2";
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Exchange } from "./exchange.ts";
import { MessageFrames, messageLength } from "./message-frames.ts";
import type { ServerMetrics } from "./server-metrics.ts";
import { shielded, warnOnce } from "./warning.ts";

/** Called as `(interceptors, stream, headers)`, up to grpc-js 1.10 as `(stream, headers)`. */
type StreamHandler = (...args: unknown[]) => void;

/** A registered method's handler. */
interface Handler {
  readonly type: "unary" | "serverStream" | "clientStream" | "bidi";
}

/** grpc-js's `Server`, as far as it is used here. */
interface ServerInternals {
  handlers: ReadonlyMap<string, Handler>;
  boundPorts: ReadonlyMap<string, unknown>;
  _channelzHandler: StreamHandler;
  _streamHandler: StreamHandler;
}

function hasInternals(server: object): server is ServerInternals {
  return "handlers" in server && server.handlers instanceof Map &&
    "boundPorts" in server && server.boundPorts instanceof Map &&
    "_channelzHandler" in server && typeof server._channelzHandler === "function" &&
    "_streamHandler" in server && typeof server._streamHandler === "function";
}

/**
 * Records every call of a server. A server of a grpc-js whose insides look different stays as it
 * is, with one warning.
 *
 * @throws {Error} if the server is bound to a port already: its handlers cannot be replaced then.
 */
export function hookServer(server: Server, metrics: ServerMetrics): void {
  const internals: object = server;
  if (!hasInternals(internals)) {
    warnOnce(
      "gRPC server metrics are off: this version of @grpc/grpc-js has no " +
        "Server with handlers, boundPorts, _channelzHandler and _streamHandler",
    );
    return;
  }
  if (internals.boundPorts.size > 0) {
    throw new Error("instrumentServer must be called before bindAsync");
  }

  function hook(handler: StreamHandler): StreamHandler {
    return function (this: ServerInternals, ...args) {
      const streamIndex = isStream(args[0]) ? 0 : 1;
      const stream = args[streamIndex] as ServerHttp2Stream;
      const headers = args[streamIndex + 1] as IncomingHttpHeaders;
      const call = shielded(() => hookStream(stream, headers, this.handlers, metrics));
      handler.apply(this, args);
      shielded(() => call?.readRequests());
    };
  }
  // Which of the two is bound depends on the server's channelz option, so both are replaced.
  internals._channelzHandler = hook(internals._channelzHandler);
  internals._streamHandler = hook(internals._streamHandler);
}

function isStream(value: unknown): boolean {
  return typeof value === "object" && value !== null && "respond" in value;
}

function hookStream(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  handlers: ReadonlyMap<string, Handler>,
  metrics: ServerMetrics,
): StreamRecorder | undefined {
  // As in the Go plugin, a request that is not gRPC (answered with HTTP 415) is no call.
  if (!headers["content-type"]?.startsWith("application/grpc")) return undefined;
  const path = String(headers[":path"]);
  const handler = handlers.get(path);
  const exchange = metrics.startCall(handler === undefined ? undefined : path);
  return new StreamRecorder(
    stream,
    exchange,
    handler?.type === "clientStream" || handler?.type === "bidi",
  );
}

/** Follows one HTTP/2 stream until its status is known. */
class StreamRecorder {
  readonly #stream: ServerHttp2Stream;
  readonly #exchange: Exchange;
  readonly #streamsRequests: boolean;
  #ended = false;

  constructor(stream: ServerHttp2Stream, exchange: Exchange, streamsRequests: boolean) {
    this.#stream = stream;
    this.#exchange = exchange;
    this.#streamsRequests = streamsRequests;

    const { respond, sendTrailers } = stream;
    const write = stream.write as (...args: unknown[]) => boolean;
    stream.respond = (headers, options) => {
      respond.call(stream, headers, options);
      if (options?.endStream) this.#trailersScheduled(headers);
    };
    stream.sendTrailers = (headers) => {
      sendTrailers.call(stream, headers);
      this.#trailersScheduled(headers);
    };
    stream.write = (frame: Uint8Array, ...rest: unknown[]) => {
      const flushed = write.call(stream, frame, ...rest);
      shielded(() => this.#exchange.sent(messageLength(frame)));
      return flushed;
    };
    // A stream that closes without a status was reset, or lost its connection.
    stream.once("close", () => this.#end(Status.CANCELLED));
  }

  /**
   * Counts request messages from now on. Called after grpc-js has paused the stream: a listener for
   * data would otherwise start the flow before grpc-js asks for it.
   */
  readRequests(): void {
    if (this.#ended) return;
    const frames = new MessageFrames();
    this.#stream.on("data", (chunk: Uint8Array) => {
      if (!this.#ended) shielded(() => this.#exchange.received(frames.push(chunk)));
    });
  }

  #trailersScheduled(headers: OutgoingHttpHeaders | readonly string[] | undefined): void {
    const code = Number(
      (headers as OutgoingHttpHeaders | undefined)?.["grpc-status"] ?? Status.UNKNOWN,
    );
    if (this.#streamsRequests && code === Status.OK) this.#endUnlessCancelled();
    else this.#end(code);
  }

  /**
   * A client that cancels while it streams requests half-closes first, then resets the stream. A
   * handler that answers the half-close with OK has then not succeeded: the reset is in the bytes
   * that follow, so the outcome is known when they are read (grpc/grpc-node#2583).
   */
  #endUnlessCancelled(): void {
    const endMs = performance.now();
    const end = () => {
      const cancelled = this.#stream.rstCode === constants.NGHTTP2_CANCEL;
      this.#end(cancelled ? Status.CANCELLED : Status.OK, endMs);
    };
    this.#stream.prependOnceListener("close", end);
    setImmediate(() => setImmediate(end));
  }

  #end(statusCode: number, endMs = performance.now()): void {
    if (this.#ended) return;
    this.#ended = true;
    shielded(() => this.#exchange.end(statusCode, endMs));
  }
}
