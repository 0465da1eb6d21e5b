/** The wire types of protobuf that Prometheus' messages use. */
const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;

/** The length of the first buffer in bytes. A metric with 41 buckets takes about 700 bytes. */
const FIRST_LENGTH = 4096;

const encoder = new TextEncoder();

/**
 * Writes the fields of protobuf messages to a buffer that grows.
 *
 * A message inside a message is preceded by its length. The writer keeps one byte for the length, and
 * moves the message when its length turns out to need more.
 *
 * @see https://protobuf.dev/programming-guides/encoding/
 */
export class ProtobufWriter {
  #bytes = new Uint8Array(FIRST_LENGTH);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** The number of bytes written since the last {@linkcode take}. */
  get length(): number {
    return this.#length;
  }

  /** Returns a copy of the bytes that have been written, and starts again. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  /** Writes an unsigned integer, or an enum. Precise up to 2^53. */
  uint(field: number, value: number): void {
    this.#tag(field, VARINT);
    this.varint(value);
  }

  /** Writes a signed integer of the types `sint32` and `sint64`. Precise up to 2^52. */
  sint(field: number, value: number): void {
    this.uint(field, value < 0 ? -2 * value - 1 : 2 * value);
  }

  double(field: number, value: number): void {
    this.#tag(field, FIXED_64);
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  string(field: number, value: string): void {
    this.bytes(field, encoder.encode(value));
  }

  /** Writes bytes, or a message that is encoded already. */
  bytes(field: number, value: Uint8Array): void {
    this.#tag(field, LENGTH_DELIMITED);
    this.varint(value.length);
    this.raw(value);
  }

  /** Writes fields that are encoded already. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** Starts a message inside the current one. Returns what {@linkcode endMessage} needs. */
  startMessage(field: number): number {
    this.#tag(field, LENGTH_DELIMITED);
    this.#reserve(1);
    return this.#length++;
  }

  /** @param start what {@linkcode startMessage} has returned */
  endMessage(start: number): void {
    const body = start + 1;
    const end = this.#length;
    const extra = varintLength(end - body) - 1;
    if (extra > 0) {
      this.#reserve(extra);
      this.#bytes.copyWithin(body + extra, body, end);
    }
    this.#length = start;
    this.varint(end - body);
    this.#length = end + extra;
  }

  varint(value: number): void {
    this.#reserve(10);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  #tag(field: number, wireType: number): void {
    this.varint(field * 8 + wireType);
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length++;
  return length;
}
