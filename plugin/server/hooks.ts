/**
 * The boundary to grpc-js's servers. Only this file knows their private shape.
 *
 * grpc-js has no stats hook, and server interceptors see neither calls of unregistered methods nor
 * compressed sizes. The handler of HTTP/2 streams sees every call. This file replaces it on one
 * instance, and then uses only the public HTTP/2 stream of Node.
 *
 * @module
 */
import type { Server } from "@grpc/grpc-js";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { replaceMethod } from "../replace-method.ts";
import { warnOfFailure, warnOnce } from "../warning.ts";
import type { ServerMethod, ServerTelemetry } from "./call.ts";
import { hookRegister } from "./fallback.ts";
import { isOverOnArrival, isUnheardError } from "./runtime-faults.ts";
import { StreamMethods, StreamRecorder } from "./stream-recorder.ts";
import type { EmitArguments } from "./stream-recorder.ts";

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
      if (recorder === undefined) handler.apply(this, args);
      else recorder.context.run(handler, this, args);
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
    const heard = recorder.context.run(recorder.methods.emit, this, given);
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
