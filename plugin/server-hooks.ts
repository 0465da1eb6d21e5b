/**
 * The server's boundary to grpc-js: the only file that knows the private shape of its servers.
 *
 * grpc-js has no stats hook, and server interceptors never see a method that nobody registered nor
 * compressed sizes. What sees every call is the handler of HTTP/2 streams; it is replaced on the
 * one instance. From there on only Node's public HTTP/2 stream is used.
 */
import { status as Status } from "@grpc/grpc-js";
import type { Server } from "@grpc/grpc-js";
import { context } from "@opentelemetry/api";
import type { Context } from "@opentelemetry/api";
import { constants } from "node:http2";
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { MessageFrames } from "./message-frames.ts";
import type { ServerCall, ServerTelemetry } from "./server-call.ts";
import { hookRegister } from "./server-fallback.ts";
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
    "_channelzHandler" in server &&
    typeof server._channelzHandler === "function" &&
    "_streamHandler" in server && typeof server._streamHandler === "function";
}

/**
 * Records every call of a server. On a server of a grpc-js whose insides look different only how
 * registered methods end is recorded, with one warning.
 *
 * @throws {Error} if the server is bound to a port already: its handlers cannot be replaced then.
 */
export function hookServer(server: Server, telemetry: ServerTelemetry): void {
  const internals: object = server;
  if (!hasInternals(internals)) {
    warnOnce(
      "gRPC server metrics are incomplete: this version of @grpc/grpc-js has no Server with " +
        "handlers, boundPorts, _channelzHandler and _streamHandler. Calls of methods that are " +
        "registered from now on are recorded, unknown methods and message sizes are not",
    );
    hookRegister(server, telemetry);
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
      const recorder = shielded(() => hookStream(stream, headers, this.handlers, telemetry));
      if (stream.destroyed || stream.closed) {
        // On Deno a stream that was reset at once gets here when it is over. Grpc-js would answer
        // it, and the exception would end the process.
        stream.on("error", () => {});
        shielded(() => recorder?.abandoned());
        return;
      }
      const callContext = recorder?.context;
      if (callContext === undefined) {
        handler.apply(this, args);
      } else {
        // Grpc-js calls the application from events of the stream, which have a context of their own.
        context.bind(callContext, stream);
        context.with(callContext, () => handler.apply(this, args));
      }
      shielded(() => recorder?.readRequests());
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
  telemetry: ServerTelemetry,
): StreamRecorder | undefined {
  // As in the Go plugin, a request that is not gRPC (answered with HTTP 415) is no call.
  if (!headers["content-type"]?.startsWith("application/grpc")) {
    return undefined;
  }
  const handler = handlers.get(String(headers[":path"]));
  return new StreamRecorder(
    stream,
    telemetry.startCall(headers, handler !== undefined),
    handler?.type === "clientStream" || handler?.type === "bidi",
  );
}

/** Follows one HTTP/2 stream until its status is known. */
class StreamRecorder {
  readonly #stream: ServerHttp2Stream;
  readonly #call: ServerCall;
  readonly #streamsRequests: boolean;
  #ended = false;

  constructor(
    stream: ServerHttp2Stream,
    call: ServerCall,
    streamsRequests: boolean,
  ) {
    this.#stream = stream;
    this.#call = call;
    this.#streamsRequests = streamsRequests;

    const { respond, sendTrailers } = stream;
    const write = stream.write as (...args: unknown[]) => boolean;
    stream.respond = (headers, options) => {
      respond.call(stream, headers, options);
      shielded(() => call.responding(text(headers, "grpc-encoding")));
      if (options?.endStream) this.#trailersScheduled(headers);
    };
    stream.sendTrailers = (headers) => {
      sendTrailers.call(stream, headers);
      this.#trailersScheduled(headers);
    };
    stream.write = (frame: Uint8Array, ...rest: unknown[]) => {
      const flushed = write.call(stream, frame, ...rest);
      shielded(() => call.sent(frame));
      return flushed;
    };
    // A stream that closes without a status was reset, or lost its connection.
    stream.once("close", () => this.#end(Status.CANCELLED, ""));
    // One that grpc-js writes a message to after its status, because the deadline passed meanwhile,
    // fails: it then neither sends the status nor closes, for as long as the client leaves it open.
    stream.once("error", () => this.#endIfNoStatusFollows());
  }

  /** The context that the call is to be handled in, if it has one. */
  get context(): Context | undefined {
    return this.#call.context;
  }

  /**
   * Counts request messages from now on. Called after grpc-js has paused the stream: a listener for
   * data would otherwise start the flow before grpc-js asks for it.
   */
  readRequests(): void {
    if (this.#ended) return;
    const frames = new MessageFrames((message) => this.#call.received(message));
    this.#stream.on("data", (chunk: Uint8Array) => {
      // Once the response is over grpc-js takes no further message.
      if (!this.#ended && !this.#stream.writableEnded) {
        shielded(() => frames.push(chunk));
      }
    });
  }

  /** The stream was over before anybody saw it: it does not tell so any more. */
  abandoned(): void {
    this.#end(Status.CANCELLED, "");
  }

  #trailersScheduled(headers: Headers): void {
    const code = Number(text(headers, "grpc-status") ?? Status.UNKNOWN);
    if (this.#streamsRequests && code === Status.OK) this.#endUnlessCancelled();
    else this.#end(code, text(headers, "grpc-message") ?? "");
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
      this.#end(cancelled ? Status.CANCELLED : Status.OK, "", endMs);
    };
    this.#stream.prependOnceListener("close", end);
    setImmediate(() => setImmediate(end));
  }

  /** A status that was scheduled before goes first, see {@link #endUnlessCancelled}. */
  #endIfNoStatusFollows(): void {
    setImmediate(() => setImmediate(() => this.#end(Status.CANCELLED, "")));
  }

  /** @param message As in the trailer `grpc-message`, percent-encoded. */
  #end(statusCode: number, message: string, endMs = performance.now()): void {
    if (this.#ended) return;
    this.#ended = true;
    shielded(() => this.#call.end(statusCode, message, endMs));
  }
}

type Headers = OutgoingHttpHeaders | readonly string[] | undefined;

/** Grpc-js gives headers as an object. */
function text(headers: Headers, name: string): string | undefined {
  return (headers as OutgoingHttpHeaders | undefined)?.[name]?.toString();
}
