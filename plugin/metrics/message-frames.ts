const PREFIX_BYTES = 5;

/** A message as it is on the wire. */
export interface WireMessage {
  /** Its length in bytes, compressed, without its prefix. */
  readonly bytes: number;
  readonly compressed: boolean;
  /**
   * The last four bytes of a compressed message as a little-endian number. For gzip, this is the size
   * before compression.
   */
  readonly trailer: number;
}

export interface MessageReceiver {
  /** Called when the last byte of a message arrives. See {@link WireMessage} for the parameters. */
  received(bytes: number, compressed: boolean, trailer: number): void;
}

/**
 * Finds the messages in a stream of bytes. Each message has a prefix: a flag byte and four bytes of
 * length (gRPC over HTTP/2). Copies nothing.
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

  /** Reads the next bytes of the stream. */
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

/** Returns whether `bytes` is exactly one message with its prefix. */
export function isWholeFrame(bytes: Uint8Array): boolean {
  let length = 0;
  for (let i = 1; i < PREFIX_BYTES; i++) length = length * 256 + (bytes[i] ?? 0);
  return bytes.length >= PREFIX_BYTES && length === messageLength(bytes);
}

/** Returns the length in bytes of the message in a whole frame. */
export function messageLength(frame: Uint8Array): number {
  return frame.length - PREFIX_BYTES;
}

/** Returns the message in a whole frame. */
export function wireMessage(frame: Uint8Array): WireMessage {
  const compressed = frame[0] === 1;
  return {
    bytes: messageLength(frame),
    compressed,
    trailer: compressed ? shiftIn(0, frame, frame.length) : 0,
  };
}

/** Shifts the bytes before `end`, at most four, into the last four bytes of the message so far. */
function shiftIn(trailer: number, bytes: Uint8Array, end: number): number {
  for (let i = Math.max(0, end - 4); i < end; i++) {
    trailer = (trailer >>> 8 | (bytes[i] ?? 0) << 24) >>> 0;
  }
  return trailer;
}
