import { status as Status } from "@grpc/grpc-js";
import { constants } from "node:http2";
import type { ServerHttp2Stream } from "node:http2";
import { isWholeFrame, MessageFrames, wireMessage } from "../metrics/message-frames.ts";
import { warnOfFailure } from "../warning.ts";
import type { ServerCall } from "./call.ts";
import type { CallContext } from "../tracing/call-context.ts";
import { afterTwoTurns } from "./runtime-faults.ts";

export type EmitArguments = [event: string | symbol, ...args: unknown[]];

/** A stream's own methods, which the methods in their place call. */
export class StreamMethods {
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
export class StreamRecorder {
  readonly methods: StreamMethods;
  /** The context to handle the call in. */
  readonly context: CallContext;
  readonly #stream: ServerHttp2Stream;
  readonly #streamsRequests: boolean;
  /**
   * Undefined if the call is not recorded, and once it has ended: a stream stays in memory until a full garbage collection, with
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
    call: ServerCall | undefined,
    context: CallContext,
    streamsRequests: boolean,
  ) {
    this.methods = methods;
    this.context = context;
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

/** Returns the text of a header. Several values are joined with commas (RFC 9110). */
function textOf(value: number | string | string[] | undefined): string {
  return Array.isArray(value) ? value.join(", ") : `${value ?? ""}`;
}
