const PREFIX_BYTES = 5;

/** One message as it was on the wire. */
export interface WireMessage {
  /** Its length as it was sent, in bytes, without its frame. */
  readonly bytes: number;
  readonly compressed: boolean;
  /**
   * The last four bytes of a compressed one as a little-endian number: of a gzip stream, the size
   * before compression.
   */
  readonly trailer: number;
}

/** Is told of each message when its last byte is there, in the terms of {@link WireMessage}. */
export interface MessageReceiver {
  received(bytes: number, compressed: boolean, trailer: number): void;
}

/**
 * Finds the messages in a stream of bytes framed as gRPC over HTTP/2 frames them: a flag byte, four
 * bytes of length, then the message. Nothing is copied.
 */
export class MessageFrames {
  readonly #receiver: MessageReceiver;
  #prefixBytes = 0;
  #compressed = false;
  #length = 0;
  #missingBytes = 0;
  #trailer = 0;

  constructor(receiver: MessageReceiver) {
    this.#receiver = receiver;
  }

  /** Takes the next bytes. */
  push(chunk: Uint8Array): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#prefixBytes < PREFIX_BYTES) {
        const byte = chunk[offset] ?? 0;
        if (this.#prefixBytes === 0) this.#compressed = byte === 1;
        else this.#length = this.#length * 256 + byte;
        this.#prefixBytes++;
        offset++;
        if (this.#prefixBytes < PREFIX_BYTES) continue;
        this.#missingBytes = this.#length;
      } else {
        const taken = Math.min(this.#missingBytes, chunk.length - offset);
        this.#missingBytes -= taken;
        offset += taken;
        if (this.#compressed) this.#trailer = shiftIn(this.#trailer, chunk, offset);
      }
      if (this.#missingBytes === 0) {
        const length = this.#length;
        this.#prefixBytes = 0;
        this.#length = 0;
        this.#receiver.received(length, this.#compressed, this.#trailer);
      }
    }
  }
}

/** Whether bytes are one message in its frame, no more and no less. */
export function isWholeFrame(bytes: Uint8Array): boolean {
  let length = 0;
  for (let i = 1; i < PREFIX_BYTES; i++) length = length * 256 + (bytes[i] ?? 0);
  return bytes.length >= PREFIX_BYTES && length === messageLength(bytes);
}

/** The length in bytes of the message in one whole frame. */
export function messageLength(frame: Uint8Array): number {
  return frame.length - PREFIX_BYTES;
}

/** The message in one whole frame. */
export function wireMessage(frame: Uint8Array): WireMessage {
  const compressed = frame[0] === 1;
  return {
    bytes: messageLength(frame),
    compressed,
    trailer: compressed ? shiftIn(0, frame, frame.length) : 0,
  };
}

/** Appends the bytes before `end`, four at most, to the last four that were seen. */
function shiftIn(trailer: number, bytes: Uint8Array, end: number): number {
  for (let i = Math.max(0, end - 4); i < end; i++) {
    trailer = (trailer >>> 8 | (bytes[i] ?? 0) << 24) >>> 0;
  }
  return trailer;
}
