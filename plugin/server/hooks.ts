/**
 * The boundary to grpc-js's servers. Only this file knows their private shape.
 *
 * grpc-js has no stats hook, and server interceptors see neither calls of unregistered methods nor
 * compressed sizes. The handler of HTTP/2 streams sees every call. This file replaces it on one
 * instance, and then uses only the public HTTP/2 stream of Node.
 *
 * @module
 */
import { status as Status } from "@grpc/grpc-js";
import type { Server } from "@grpc/grpc-js";
import type { Context } from "@opentelemetry/api";
import { constants } from "node:http2";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { isWholeFrame, MessageFrames, wireMessage } from "../metrics/message-frames.ts";
import { replaceMethod } from "../replace-method.ts";
import { callInContext } from "../tracing/application-context.ts";
import { warnOfFailure, warnOnce } from "../warning.ts";
import type { ServerCall, ServerMethod, ServerTelemetry } from "./call.ts";
import { hookRegister } from "./fallback.ts";
import { afterTwoTurns, isOverOnArrival, isUnheardError } from "./runtime-faults.ts";

/** Called with `(interceptors, stream, headers)`, up to grpc-js 1.10 with `(stream, headers)`. */
type StreamHandler = (...args: unknown[]) => void;

/** The handler of a registered method. */
interface Handler {
  readonly type: "unary" | "serverStream" | "clientStream" | "bidi";
}

/** The parts of grpc-js's `Server` that this file uses. */
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
 * Records every call of a server. If this version of grpc-js has a different server, warns once and
 * records only the status of calls of registered methods.
 *
 * @throws {Error} If the server is already bound to a port: its handlers are in use by then.
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

  const record = streamHooks(telemetry);
  function hook(handler: StreamHandler): StreamHandler {
    return function (this: ServerInternals, ...args) {
      const streamIndex = isStream(args[0]) ? 0 : 1;
      const stream = args[streamIndex] as ServerHttp2Stream;
      const headers = args[streamIndex + 1] as IncomingHttpHeaders;
      const recorder = record(stream, headers, this.handlers);
      if (isOverOnArrival(stream)) {
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
  // The server's channelz option decides which of the two is used.
  replaceMethod(internals, "_channelzHandler", hook);
  replaceMethod(internals, "_streamHandler", hook);
}

function isStream(value: unknown): boolean {
  return typeof value === "object" && value !== null && "respond" in value;
}

/**
 * A stream that carries the object that records it. Each plugin uses its own symbol, because several
 * plugins may record the same stream.
 */
type RecordedStream = ServerHttp2Stream & { [link: symbol]: StreamRecorder };

/** A handler that carries what all calls of its method share. */
type KnownHandler = Handler & { [link: symbol]: ServerMethod | undefined };

/** Records a stream. Returns undefined if the stream is not a gRPC call. */
type RecordStream = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  handlers: ReadonlyMap<string, Handler>,
) => StreamRecorder | undefined;

/**
 * Returns a function that records the streams of one server. It replaces two methods of a stream with
 * functions that all streams share, and adds no listener: closures and listeners for each stream
 * would make recording several times as expensive.
 */
function streamHooks(telemetry: ServerTelemetry): RecordStream {
  const link = Symbol("recorded");

  type Written = (error?: Error | null) => void;
  function write(
    this: RecordedStream,
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

  function emit(this: RecordedStream, event: string | symbol, ...args: unknown[]): boolean;
  // Named parameters and `arguments` are faster to pass on than a rest parameter.
  function emit(this: RecordedStream, event: string | symbol, chunk?: unknown): boolean {
    const recorder = this[link]!;
    if (event === "close") recorder.closed();
    else if (event === "error") {
      recorder.failed();
      if (isUnheardError(this)) return false;
    }
    const given = arguments as unknown as EmitArguments;
    // grpc-js calls the application from events of the stream, which do not run in the call's context.
    const heard = recorder.context === undefined
      ? recorder.methods.emit.apply(this, given)
      : callInContext(recorder.context, recorder.methods.emit, this, given);
    // By now grpc-js has accepted or rejected the bytes.
    if (event === "data") recorder.read(chunk as Uint8Array);
    // grpc-js sends trailers in its listener for `wantTrailers`. A response of headers alone finishes
    // the stream when it is sent.
    else if (event === "wantTrailers" || event === "prefinish") recorder.trailersSent();
    return heard;
  }

  /** The methods of the last stream. The next stream has the same, unless other code replaces them. */
  let methods: StreamMethods | undefined;

  function methodsOf(stream: ServerHttp2Stream): StreamMethods {
    if (!methods?.areOf(stream)) methods = new StreamMethods(stream);
    return methods;
  }

  return (stream, headers, handlers) => {
    try {
      // As in grpc-go, a request that is not gRPC (answered with HTTP 415) is not a call.
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
      (stream as RecordedStream)[link] = recorder;
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

/** Returns the text of a header. Several values are joined with commas (RFC 9110). */
function textOf(value: number | string | string[] | undefined): string {
  return Array.isArray(value) ? value.join(", ") : `${value ?? ""}`;
}

/** A stream's own methods, which the methods in their place call. */
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

/** Records one HTTP/2 stream until its status is known. Its methods do not throw. */
class StreamRecorder {
  readonly methods: StreamMethods;
  /** The context to handle the call in, if it has one. */
  readonly context: Context | undefined;
  readonly #stream: ServerHttp2Stream;
  readonly #streamsRequests: boolean;
  /**
   * Undefined once the call has ended: a stream stays in memory until a full garbage collection, with
   * everything that it references.
   */
  #call: ServerCall | undefined;
  /** Created for the first message that does not arrive in a chunk of its own. */
  #requests: MessageFrames | undefined;
  /** When the status OK was sent, while it is unknown whether the client cancelled the call. */
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

  /** Ends the call if its status was sent, in trailers or in the headers of a trailers-only response. */
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

  /** Called when a message is handed to the stream. `frame` includes the message's prefix. */
  written(frame: Uint8Array): void {
    try {
      this.#call?.sent(frame, this.#stream.sentHeaders);
    } catch (error) {
      warnOfFailure(error);
    }
  }

  /** Called when request bytes arrive. grpc-js drops messages that arrive after the response ended. */
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

  /** Called when the stream closes. Without a status, it was reset or lost its connection. */
  closed(): void {
    this.trailersSent();
    if (this.#unconfirmedEndMs === undefined) this.#end(Status.CANCELLED, "", performance.now());
    else this.#confirm(this.#unconfirmedEndMs);
  }

  /**
   * Called when the stream fails. If the deadline passes while a handler sends messages, grpc-js
   * writes a message after the status, and the stream fails: it neither sends the status nor closes
   * until the client closes it. A status that is already scheduled is sent first.
   */
  failed(): void {
    if (this.#call === undefined) return;
    afterTwoTurns(() => this.#end(Status.CANCELLED, "", performance.now()));
  }

  /**
   * Ends the call with OK, unless the client cancelled it. A client that cancels while it streams
   * requests first half-closes the stream, then resets it. If the handler answers the half-close with
   * OK, the call is still cancelled: the reset is in the bytes that follow, so the outcome is known
   * once they are read (grpc/grpc-node#2583).
   */
  #endUnlessCancelled(): void {
    const endMs = performance.now();
    this.#unconfirmedEndMs = endMs;
    afterTwoTurns(() => this.#confirm(endMs));
  }

  #confirm(endMs: number): void {
    const cancelled = this.#stream.rstCode === constants.NGHTTP2_CANCEL;
    this.#end(cancelled ? Status.CANCELLED : Status.OK, "", endMs);
  }

  /** @param message The percent-encoded trailer `grpc-message`. */
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
