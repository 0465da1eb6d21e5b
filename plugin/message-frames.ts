const PREFIX_BYTES = 5;

/**
 * Finds the messages in a stream of bytes framed as gRPC over HTTP/2 frames them: a flag byte, four
 * bytes of length, then the message. Only lengths are looked at, nothing is copied.
 */
export class MessageFrames {
  #prefixBytes = 0;
  #length = 0;
  #missingBytes = 0;

  /**
   * Takes the next bytes and returns the sum of the lengths, in bytes, of the messages that they
   * complete, without prefixes.
   */
  push(chunk: Uint8Array): number {
    let completedBytes = 0;
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#prefixBytes < PREFIX_BYTES) {
        if (this.#prefixBytes > 0) this.#length = this.#length * 256 + (chunk[offset] ?? 0);
        this.#prefixBytes++;
        offset++;
        if (this.#prefixBytes < PREFIX_BYTES) continue;
        this.#missingBytes = this.#length;
      } else {
        const taken = Math.min(this.#missingBytes, chunk.length - offset);
        this.#missingBytes -= taken;
        offset += taken;
      }
      if (this.#missingBytes === 0) {
        completedBytes += this.#length;
        this.#prefixBytes = 0;
        this.#length = 0;
      }
    }
    return completedBytes;
  }
}

/** The length in bytes of the message in one whole frame. */
export function messageLength(frame: Uint8Array): number {
  return frame.length - PREFIX_BYTES;
}
