/**
 * The server's boundary to grpc-js: the only file that knows the private shape of its servers.
 *
 * grpc-js has no stats hook, and server interceptors never see a method that nobody registered nor
 * compressed sizes. What sees every call is the handler of HTTP/2 streams; it is replaced on the
 * one instance. From there on only Node's public HTTP/2 stream is used.
 */
import { status as Status } from "@grpc/grpc-js";
import type { Server } from "@grpc/grpc-js";
import type { Context } from "@opentelemetry/api";
import { constants } from "node:http2";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { callInContext } from "../tracing/application-context.ts";
import { isWholeFrame, MessageFrames, wireMessage } from "../metrics/message-frames.ts";
import type { ServerCall, ServerMethod, ServerTelemetry } from "./call.ts";
import { hookRegister } from "./fallback.ts";
import { warnOfFailure, warnOnce } from "../warning.ts";

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

  const follow = streamHooks(telemetry);
  function hook(handler: StreamHandler): StreamHandler {
    return function (this: ServerInternals, ...args) {
      const streamIndex = isStream(args[0]) ? 0 : 1;
      const stream = args[streamIndex] as ServerHttp2Stream;
      const headers = args[streamIndex + 1] as IncomingHttpHeaders;
      const recorder = follow(stream, headers, this.handlers);
      if (stream.destroyed || stream.closed) {
        // On Deno a stream that was reset at once gets here when it is over. Grpc-js would answer
        // it, and the exception would end the process.
        stream.on("error", () => {});
        recorder?.closed();
        return;
      }
      const callContext = recorder?.context;
      if (callContext === undefined) {
        handler.apply(this, args);
      } else {
        callInContext(callContext, handler, this, args);
      }
    };
  }
  // Which of the two is bound depends on the server's channelz option, so both are replaced.
  internals._channelzHandler = hook(internals._channelzHandler);
  internals._streamHandler = hook(internals._streamHandler);
}

function isStream(value: unknown): boolean {
  return typeof value === "object" && value !== null && "respond" in value;
}

/** A stream that is followed. Each plugin has a link of its own: several may be installed. */
type FollowedStream = ServerHttp2Stream & { [link: symbol]: StreamRecorder };

/** A handler that had a call. What its calls have in common is found with it. */
type KnownHandler = Handler & { [link: symbol]: ServerMethod | undefined };

/** Follows a stream; returns undefined if it is no call. */
type Follow = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  handlers: ReadonlyMap<string, Handler>,
) => StreamRecorder | undefined;

/**
 * Makes what follows the streams of one server. Two of their methods are replaced, by functions that
 * all of them share, and no listener is added: with some closures and listeners for each, recording
 * would cost several times as much.
 */
function streamHooks(telemetry: ServerTelemetry): Follow {
  const link = Symbol("recorded");

  type Written = (error?: Error | null) => void;
  function write(
    this: FollowedStream,
    frame: Uint8Array,
    encodingOrWritten?: BufferEncoding | Written,
    written?: Written,
  ): boolean {
    const recorder = this[link]!;
    const flushed = recorder.methods.write.call(
      this,
      frame,
      encodingOrWritten as BufferEncoding,
      written,
    );
    recorder.written(frame);
    return flushed;
  }

  function emit(this: FollowedStream, event: string | symbol, ...args: unknown[]): boolean;
  // Named parameters and `arguments` are passed on faster than a rest parameter.
  function emit(this: FollowedStream, event: string | symbol, chunk?: unknown): boolean {
    const recorder = this[link]!;
    if (event === "close") recorder.closed();
    else if (event === "error") {
      recorder.failed();
      // Grpc-js listens for errors of the calls that it serves; one of a call that it refused, such
      // as a reset by the client, would end the process.
      if (this.listenerCount("error") === 0) return false;
    }
    const given = arguments as unknown as EmitArguments;
    // Grpc-js calls the application from events of the stream, which have a context of their own.
    const heard = recorder.context === undefined
      ? recorder.methods.emit.apply(this, given)
      : callInContext(recorder.context, recorder.methods.emit, this, given);
    // Grpc-js has taken the bytes by now, or refused them.
    if (event === "data") recorder.read(chunk as Uint8Array);
    // It sends trailers while it is told that they are wanted; a response of headers alone finishes
    // the stream while it is made.
    else if (event === "wantTrailers" || event === "prefinish") recorder.trailersSent();
    return heard;
  }

  /** Those of the last stream, which are those of the next one unless somebody else replaces them. */
  let methods: StreamMethods | undefined;

  function methodsOf(stream: ServerHttp2Stream): StreamMethods {
    if (!methods?.areOf(stream)) methods = new StreamMethods(stream);
    return methods;
  }

  return (stream, headers, handlers) => {
    try {
      // As in the Go plugin, a request that is not gRPC (answered with HTTP 415) is no call.
      if (!headers["content-type"]?.startsWith("application/grpc")) return undefined;
      const path = String(headers[":path"]);
      const handler = handlers.get(path) as KnownHandler | undefined;
      const method = handler && (handler[link] ??= telemetry.method(path));
      const recorder = new StreamRecorder(
        stream,
        methodsOf(stream),
        telemetry.startCall(headers, method),
        handler?.type === "clientStream" || handler?.type === "bidi",
      );
      (stream as FollowedStream)[link] = recorder;
      stream.write = write;
      stream.emit = emit;
      return recorder;
    } catch (error) {
      warnOfFailure(error);
      return undefined;
    }
  };
}

type EmitArguments = [event: string | symbol, ...args: unknown[]];

/** The text of a header. One that is sent several times arrives as a list with commas (RFC 9110). */
function textOf(value: number | string | string[] | undefined): string {
  return Array.isArray(value) ? value.join(", ") : `${value ?? ""}`;
}

/** A stream's own methods, which are called from those that replace them. */
class StreamMethods {
  readonly write: ServerHttp2Stream["write"];
  readonly emit: (...args: EmitArguments) => boolean;

  constructor({ write, emit }: ServerHttp2Stream) {
    this.write = write;
    this.emit = emit;
  }

  areOf({ write, emit }: ServerHttp2Stream): boolean {
    return write === this.write && emit === this.emit;
  }
}

/** Records one HTTP/2 stream until its status is known. Nothing that it is told throws. */
class StreamRecorder {
  readonly methods: StreamMethods;
  /** The context that the call is to be handled in, if it has one. */
  readonly context: Context | undefined;
  readonly #stream: ServerHttp2Stream;
  readonly #streamsRequests: boolean;
  /**
   * Undefined once it has ended: a stream is kept until a full garbage collection, with all that can
   * be reached from it.
   */
  #call: ServerCall | undefined;
  /** Made for the first message that does not come in a chunk of its own. */
  #requests: MessageFrames | undefined;
  /** When the status OK was sent, as long as it is not known whether the client has cancelled. */
  #unconfirmedEndMs: number | undefined;

  constructor(
    stream: ServerHttp2Stream,
    methods: StreamMethods,
    call: ServerCall,
    streamsRequests: boolean,
  ) {
    this.methods = methods;
    this.context = call.context;
    this.#stream = stream;
    this.#call = call;
    this.#streamsRequests = streamsRequests;
  }

  /** If the status was sent, in trailers or in the headers of a response without messages, it ends. */
  trailersSent(): void {
    if (this.#call === undefined || this.#unconfirmedEndMs !== undefined) return;
    try {
      const trailers = this.#stream.sentTrailers ?? this.#stream.sentHeaders;
      const status = trailers?.["grpc-status"];
      if (status === undefined) return;
      const code = Number(status);
      if (this.#streamsRequests && code === Status.OK) this.#endUnlessCancelled();
      else this.#end(code, textOf(trailers?.["grpc-message"]), performance.now());
    } catch (error) {
      warnOfFailure(error);
    }
  }

  /** A message was handed to the stream, in its frame. */
  written(frame: Uint8Array): void {
    try {
      this.#call?.sent(frame, this.#stream.sentHeaders);
    } catch (error) {
      warnOfFailure(error);
    }
  }

  /** Bytes of requests came in. Once the response is over grpc-js takes no further message. */
  read(chunk: Uint8Array): void {
    const call = this.#call;
    if (call === undefined || this.#stream.writableEnded) return;
    try {
      if (this.#requests === undefined && isWholeFrame(chunk)) {
        const { bytes, compressed, trailer } = wireMessage(chunk);
        call.received(bytes, compressed, trailer);
      } else (this.#requests ??= new MessageFrames(call)).push(chunk);
    } catch (error) {
      warnOfFailure(error);
    }
  }

  /** A stream that closes without a status was reset, or lost its connection. */
  closed(): void {
    this.trailersSent();
    if (this.#unconfirmedEndMs === undefined) this.#end(Status.CANCELLED, "", performance.now());
    else this.#confirm(this.#unconfirmedEndMs);
  }

  /**
   * One that grpc-js writes a message to after its status, because the deadline passed meanwhile,
   * fails: it then neither sends the status nor closes, for as long as the client leaves it open.
   * A status that was scheduled before goes first.
   */
  failed(): void {
    if (this.#call === undefined) return;
    setImmediate(() => setImmediate(() => this.#end(Status.CANCELLED, "", performance.now())));
  }

  /**
   * A client that cancels while it streams requests half-closes first, then resets the stream. A
   * handler that answers the half-close with OK has then not succeeded: the reset is in the bytes
   * that follow, so the outcome is known when they are read (grpc/grpc-node#2583).
   */
  #endUnlessCancelled(): void {
    const endMs = performance.now();
    this.#unconfirmedEndMs = endMs;
    setImmediate(() => setImmediate(() => this.#confirm(endMs)));
  }

  #confirm(endMs: number): void {
    const cancelled = this.#stream.rstCode === constants.NGHTTP2_CANCEL;
    this.#end(cancelled ? Status.CANCELLED : Status.OK, "", endMs);
  }

  /** @param message As in the trailer `grpc-message`, percent-encoded. */
  #end(statusCode: number, message: string, endMs: number): void {
    const call = this.#call;
    if (call === undefined) return;
    this.#call = undefined;
    this.#requests = undefined;
    try {
      call.end(statusCode, message, endMs);
    } catch (error) {
      warnOfFailure(error);
    }
  }
}
