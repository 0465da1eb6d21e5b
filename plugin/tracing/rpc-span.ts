import { SpanStatusCode, trace } from "@opentelemetry/api";
import type { Attributes, Context, Span, SpanOptions, TimeInput, Tracer } from "@opentelemetry/api";
import { onRejection } from "../../log/rejection.ts";
import { wellFormed } from "../../log/well-formed.ts";
import { statusName } from "../metrics/labels.ts";
import type { WireMessage } from "../metrics/message-frames.ts";
import { warnOfSpanFailure } from "../warning.ts";

/**
 * The longest part of a status message that a span shows: a peer may send more than the 16 KiB of
 * metadata that other implementations of gRPC accept.
 */
const MAX_DETAILS = 16_384;

/**
 * A span of gRFC A72 or A121. An error of the application's tracer becomes a warning: it costs a span, but
 * never a metric or a call.
 */
export class RpcSpan {
  readonly #span: Span;
  /** The context in which this span is the active one. */
  readonly context: Context;
  readonly isRecording: boolean;

  private constructor(span: Span, parent: Context) {
    this.#span = span;
    this.context = trace.setSpan(parent, span);
    this.isRecording = span.isRecording();
  }

  /**
   * Starts a span.
   *
   * @param name See {@link spanName}.
   * @returns Undefined if the tracer fails.
   */
  static start(
    tracer: Tracer,
    name: string,
    options: SpanOptions,
    parent: Context,
  ): RpcSpan | undefined {
    try {
      return new RpcSpan(tracer.startSpan(name, options, parent), parent);
    } catch (error) {
      warnOfSpanFailure(error);
      return undefined;
    }
  }

  addEvent(name: string, attributes?: Attributes): void {
    if (!this.isRecording) return;
    try {
      this.#span.addEvent(name, attributes);
    } catch (error) {
      warnOfSpanFailure(error);
    }
  }

  /**
   * Sets the span's status from the status of a call or attempt, and ends the span (gRFC A72).
   *
   * @param endTime Defaults to now.
   */
  end(code: number, details: string, endTime?: TimeInput): void {
    if (this.isRecording) this.#setStatus(code, details);
    this.close(endTime);
  }

  #setStatus(code: number, details: string): void {
    try {
      if (code === 0) {
        this.#span.setStatus({ code: SpanStatusCode.OK });
      } else {
        const shown = details.length > MAX_DETAILS
          ? wellFormed(details.slice(0, MAX_DETAILS))
          : details;
        const message = shown === "" ? statusName(code) : `${statusName(code)}, ${shown}`;
        this.#span.setStatus({ code: SpanStatusCode.ERROR, message });
      }
    } catch (error) {
      warnOfSpanFailure(error);
    }
  }

  /**
   * Ends the span and leaves its status unset.
   *
   * @param endTime Defaults to now.
   */
  close(endTime?: TimeInput): void {
    try {
      const returned: unknown = this.#span.end(endTime);
      if (returned !== undefined) onRejection(returned, warnOfSpanFailure);
    } catch (error) {
      warnOfSpanFailure(error);
    }
  }
}

/** Returns the name of a span, such as `Sent.package.Service.Method` (gRFC A72). */
export function spanName(
  prefix: "Sent" | "Attempt" | "Recv",
  path: string,
): string {
  return `${prefix}.${path.replace(/^\//, "").replaceAll("/", ".")}`;
}

/** Adds message events to a span, numbered from 0 in each direction (gRFC A72). */
export class MessageEvents {
  readonly #span: RpcSpan;
  #sent = 0;
  #received = 0;

  constructor(span: RpcSpan) {
    this.#span = span;
  }

  /** @param encoding The `grpc-encoding` of compressed messages. */
  outbound(message: WireMessage, encoding: string | undefined): void {
    this.#span.addEvent(
      "Outbound message",
      messageAttributes(this.#sent++, message, encoding),
    );
  }

  /** @param encoding The `grpc-encoding` of compressed messages. */
  inbound(message: WireMessage, encoding: string | undefined): void {
    this.#span.addEvent(
      "Inbound message",
      messageAttributes(this.#received++, message, encoding),
    );
  }
}

/**
 * Returns the attributes of a message event. As in grpc-go, one event has both sizes of a compressed
 * message. A gzip stream ends with the size before compression. A deflate stream does not contain
 * it, so the event lacks `message-size`.
 */
function messageAttributes(
  sequenceNumber: number,
  { bytes, compressed, trailer }: WireMessage,
  encoding: string | undefined,
): Attributes {
  if (!compressed) {
    return { "sequence-number": sequenceNumber, "message-size": bytes };
  }
  return {
    "sequence-number": sequenceNumber,
    ...(encoding === "gzip" && { "message-size": trailer }),
    "message-size-compressed": bytes,
  };
}
