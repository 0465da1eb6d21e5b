/**
 * Encodes HTTP/2 frames (RFC 9113), valid or not: nothing is checked.
 *
 * @module
 */

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FLAG = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8 } as const;

const HEADER_BYTES = 9;
/** The position of the type in a frame. */
export const TYPE_OFFSET = 3;

/**
 * Encodes a frame.
 *
 * @param length The stated length in bytes, which may be wrong.
 */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
  length = payload.length,
): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + payload.length);
  bytes.writeUIntBE(length & 0xffffff, 0, 3);
  bytes[TYPE_OFFSET] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream >>> 0, 5);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

/**
 * Encodes a SETTINGS frame.
 *
 * @param values Alternating identifiers and values.
 */
export function settings(...values: number[]): Buffer {
  const payload = Buffer.alloc((values.length / 2) * 6);
  for (let i = 0; i < values.length; i += 2) {
    payload.writeUInt16BE(values[i]!, i * 3);
    payload.writeUInt32BE(values[i + 1]!, i * 3 + 2);
  }
  return frame(TYPE.settings, 0, 0, payload);
}

export function ping(): Buffer {
  return frame(TYPE.ping, 0, 0, Buffer.alloc(8));
}

export function reset(stream: number, code: number): Buffer {
  return frame(TYPE.reset, 0, stream, number32(code));
}

export function windowUpdate(stream: number, increment: number): Buffer {
  return frame(TYPE.windowUpdate, 0, stream, number32(increment));
}

export function goAway(lastStream: number, code: number): Buffer {
  return frame(TYPE.goAway, 0, 0, Buffer.concat([number32(lastStream), number32(code)]));
}

/** Encodes a 32-bit number, big-endian. */
export function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export type Header = readonly [name: string, value: string];

/** Encodes headers in HPACK (RFC 7541) as literals, neither indexed nor compressed. */
export function headerBlock(headers: readonly Header[]): Buffer {
  return Buffer.concat(headers.flatMap(([name, value]) => [
    Buffer.from([0]),
    ...literal(Buffer.from(name, "latin1")),
    ...literal(Buffer.from(value, "latin1")),
  ]));
}

function literal(text: Buffer): Buffer[] {
  const length: number[] = [];
  let rest = text.length;
  if (rest < 127) {
    length.push(rest);
  } else {
    length.push(127);
    for (rest -= 127; rest >= 128; rest = Math.floor(rest / 128)) length.push(rest % 128 + 128);
    length.push(rest);
  }
  return [Buffer.from(length), text];
}

/** The largest payload of a frame by default, in bytes. */
const MAX_PAYLOAD = 16_384;

/** Encodes a header block as HEADERS and, if it is too large, CONTINUATION frames. */
export function headers(stream: number, block: Buffer, flags = 0): Buffer {
  const frames: Buffer[] = [];
  for (let start = 0; start === 0 || start < block.length; start += MAX_PAYLOAD) {
    const end = start + MAX_PAYLOAD;
    const last = end >= block.length ? FLAG.endHeaders : 0;
    const payload = block.subarray(start, end);
    frames.push(
      start === 0
        ? frame(TYPE.headers, flags | last, stream, payload)
        : frame(TYPE.continuation, last, stream, payload),
    );
  }
  return Buffer.concat(frames);
}

/** Encodes data as one or more DATA frames. */
export function data(stream: number, bytes: Buffer, flags = 0): Buffer {
  const frames: Buffer[] = [];
  for (let start = 0; start === 0 || start < bytes.length; start += MAX_PAYLOAD) {
    const end = start + MAX_PAYLOAD;
    const payload = bytes.subarray(start, end);
    frames.push(frame(TYPE.data, end >= bytes.length ? flags : 0, stream, payload));
  }
  return Buffer.concat(frames);
}

/** The headers of a gRPC request. */
export function grpcHeaders(path: string, ...further: Header[]): Header[] {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ...further,
  ];
}

/**
 * Encodes a gRPC message with its prefix.
 *
 * @param length The stated length in bytes, which may be wrong.
 */
export function grpcMessage(message: Uint8Array, flag = 0, length = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length >>> 0, 1);
  return Buffer.concat([prefix, message]);
}
