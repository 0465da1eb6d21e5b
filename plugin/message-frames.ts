const PREFIX_BYTES = 5;

/** One message as it was on the wire. */
export interface WireMessage {
  /** Its length as it was sent, in bytes, without its frame. */
  readonly bytes: number;
  readonly compressed: boolean;
  /** Its last four bytes as a little-endian number: of a gzip stream, the size before compression. */
  readonly trailer: number;
}

/**
 * Finds the messages in a stream of bytes framed as gRPC over HTTP/2 frames them: a flag byte, four
 * bytes of length, then the message. Nothing is copied.
 */
export class MessageFrames {
  readonly #onMessage: (message: WireMessage) => void;
  #prefixBytes = 0;
  #compressed = false;
  #length = 0;
  #missingBytes = 0;
  #trailer = 0;

  /** @param onMessage Told of each message when its last byte is there. */
  constructor(onMessage: (message: WireMessage) => void) {
    this.#onMessage = onMessage;
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
        this.#trailer = shiftIn(this.#trailer, chunk, offset + taken);
        this.#missingBytes -= taken;
        offset += taken;
      }
      if (this.#missingBytes === 0) {
        this.#onMessage({
          bytes: this.#length,
          compressed: this.#compressed,
          trailer: this.#trailer,
        });
        this.#prefixBytes = 0;
        this.#length = 0;
      }
    }
  }
}

/** The length in bytes of the message in one whole frame. */
export function messageLength(frame: Uint8Array): number {
  return frame.length - PREFIX_BYTES;
}

/** The message in one whole frame. */
export function wireMessage(frame: Uint8Array): WireMessage {
  return {
    bytes: messageLength(frame),
    compressed: frame[0] === 1,
    trailer: shiftIn(0, frame, frame.length),
  };
}

/** Appends the bytes before `end`, four at most, to the last four that were seen. */
function shiftIn(trailer: number, bytes: Uint8Array, end: number): number {
  for (let i = Math.max(0, end - 4); i < end; i++) {
    trailer = (trailer >>> 8 | (bytes[i] ?? 0) << 24) >>> 0;
  }
  return trailer;
}
