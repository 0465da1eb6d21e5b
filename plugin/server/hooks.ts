/**
 * The boundary to grpc-js's servers. Only this file knows their private shape.
 *
 * grpc-js has no stats hook, and server interceptors see neither calls of unregistered methods nor
 * compressed sizes. The listener for HTTP/2 streams sees every call. This file replaces it on the
 * HTTP/2 servers of one instance, and then uses only the public HTTP/2 stream of Node.
 *
 * @module
 */
import type { Server } from "@grpc/grpc-js";
import type { EventEmitter } from "node:events";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { replaceMethod } from "../replace-method.ts";
import { shielded, warnOfFailure, warnOnce } from "../warning.ts";
import type { ServerMethod, ServerTelemetry } from "./call.ts";
import { hookRegister } from "./fallback.ts";
import { isOverOnArrival, isUnheardError } from "./runtime-faults.ts";
import { StreamMethods, StreamRecorder } from "./stream-recorder.ts";
import type { EmitArguments } from "./stream-recorder.ts";

/** What listens to the event "stream" of an HTTP/2 server. */
type StreamListener = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  ...rest: unknown[]
) => void;

/** The handler of a registered method. */
interface Handler {
  readonly type: "unary" | "serverStream" | "clientStream" | "bidi";
}

/** The parts of grpc-js's `Server` that this file uses. */
interface ServerInternals {
  handlers: ReadonlyMap<string, Handler>;
  /** The servers that listen on a port, and those that a connection injector feeds. */
  http2Servers: Map<EventEmitter, unknown>;
}

/** The methods that grpc-js binds to the server and adds as listeners of "stream". */
const LISTENERS = ["_channelzHandler", "_streamHandler"] as const;

function hasInternals(server: object): server is ServerInternals {
  return "handlers" in server && server.handlers instanceof Map &&
    "http2Servers" in server && server.http2Servers instanceof Map &&
    LISTENERS.every((name) => typeof (server as Record<string, unknown>)[name] === "function");
}

/**
 * Returns the object that identifies a server: the one whose method is replaced. Stand-ins for a
 * server have the same one.
 */
export function serverKey(server: object): object {
  return hasInternals(server) ? server.http2Servers : server;
}

/**
 * Records every call of a server from its next stream on, also those of connections that exist. If
 * this version of grpc-js has a different server, warns once and records only the status of calls of
 * registered methods.
 *
 * @returns A function that records a stream which has reached grpc-js already.
 */
export function hookServer(server: Server, telemetry: ServerTelemetry): RecordStream | undefined {
  const internals: object = server;
  if (!hasInternals(internals)) {
    warnOnce(
      "gRPC server metrics are incomplete: this version of @grpc/grpc-js has no Server with " +
        `handlers, http2Servers, ${LISTENERS.join(" and ")}. Calls of methods that are ` +
        "registered from now on are recorded, unknown methods and message sizes are not",
    );
    hookRegister(server, telemetry);
    return undefined;
  }

  const { handlers, http2Servers } = internals;
  const record = streamHooks(telemetry, handlers);
  const hooked = new WeakSet<EventEmitter>();

  function hook(listener: StreamListener): StreamListener {
    return function (this: unknown, ...args) {
      const [stream, headers] = args;
      const recorder = record(stream, headers);
      if (isOverOnArrival(stream)) {
        recorder?.closed();
        return;
      }
      if (recorder === undefined) listener.apply(this, args);
      else recorder.context.run(listener, this, args);
    };
  }

  function hookHttp2Server(http2Server: EventEmitter): void {
    if (hooked.has(http2Server)) return;
    hooked.add(http2Server);
    // The first listener is that of grpc-js, which creates the HTTP/2 server.
    const [listener] = http2Server.rawListeners("stream") as StreamListener[];
    if (listener === undefined) return;
    http2Server.removeListener("stream", listener);
    http2Server.prependListener("stream", hook(listener));
  }

  for (const http2Server of http2Servers.keys()) hookHttp2Server(http2Server);
  // An HTTP/2 server is in the map before its first connection.
  replaceMethod(
    http2Servers,
    "set",
    (set) =>
      function (this: typeof http2Servers, http2Server, ...rest) {
        shielded(() => hookHttp2Server(http2Server));
        return set.call(this, http2Server, ...rest);
      },
  );
  return record;
}

/**
 * A stream that carries the object that records it. Each plugin uses its own symbol, because several
 * plugins may record the same stream.
 */
type RecordedStream = ServerHttp2Stream & { [link: symbol]: StreamRecorder };

/** A handler that carries what all calls of its method share. */
type KnownHandler = Handler & { [link: symbol]: ServerMethod | undefined };

/** Events with which a stream follows its own state. grpc-js and the application hear none of them. */
const OWN_EVENTS: ReadonlySet<string | symbol> = new Set([
  "newListener",
  "removeListener",
  "readable",
  "pause",
  "resume",
  "prefinish",
  "finish",
]);

/** Records a stream. Returns undefined if the stream is not a call that is recorded. */
export type RecordStream = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
) => StreamRecorder | undefined;

/**
 * Returns a function that records the streams of one server. It replaces two methods of a stream with
 * functions that all streams share, and adds no listener: closures and listeners for each stream
 * would make recording several times as expensive.
 */
function streamHooks(
  telemetry: ServerTelemetry,
  handlers: ReadonlyMap<string, Handler>,
): RecordStream {
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
  // Named parameters and `arguments` are faster to pass on than a rest parameter, which is an array.
  function emit(this: RecordedStream, event: string | symbol, chunk?: unknown): boolean {
    const recorder = this[link]!;
    if (event === "close") recorder.closed();
    else if (event === "error") {
      recorder.failed();
      if (isUnheardError(this)) return false;
    }
    const { methods, context } = recorder;
    const given = arguments as unknown as EmitArguments;
    // grpc-js calls the application from events of the stream, which do not run in the call's context.
    const heard = OWN_EVENTS.has(event) || context.isCurrent()
      ? methods.emit.apply(this, given)
      : context.run(methods.emit, this, [...given]);
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

  return (stream, headers) => {
    try {
      // As in grpc-go, a request that is not gRPC (answered with HTTP 415) is not a call.
      if (!headers["content-type"]?.startsWith("application/grpc")) return undefined;
      const path = String(headers[":path"]);
      if (!telemetry.includes(path)) return undefined;
      const handler = handlers.get(path) as KnownHandler | undefined;
      const method = handler && (handler[link] ??= telemetry.method(path));
      const call = telemetry.records(path, method)
        ? telemetry.startCall(headers, method)
        : undefined;
      const recorder = new StreamRecorder(
        stream,
        methodsOf(stream),
        call,
        call?.handlerContext ?? telemetry.handlerContext(headers),
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
