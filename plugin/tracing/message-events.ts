import type { Attributes } from "@opentelemetry/api";
import type { WireMessage } from "../metrics/message-frames.ts";
import type { RpcSpan } from "./rpc-span.ts";

/** Adds the message events of gRFC A72 to a span, numbered from 0 in each direction. */
export class MessageEvents {
  readonly #span: RpcSpan;
  #sent = 0;
  #received = 0;

  constructor(span: RpcSpan) {
    this.#span = span;
  }

  /** @param encoding The `grpc-encoding` of messages that are compressed. */
  outbound(message: WireMessage, encoding: string | undefined): void {
    this.#span.addEvent(
      "Outbound message",
      attributes(this.#sent++, message, encoding),
    );
  }

  /** @param encoding The `grpc-encoding` of messages that are compressed. */
  inbound(message: WireMessage, encoding: string | undefined): void {
    this.#span.addEvent(
      "Inbound message",
      attributes(this.#received++, message, encoding),
    );
  }
}

/**
 * As in the Go plugin, one event has both sizes of a compressed message. The size before compression
 * stands at the end of a gzip stream; a deflate stream does not tell it, and it is left out.
 */
function attributes(
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
