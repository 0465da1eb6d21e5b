import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { MessageFrames, wireMessage } from "../../plugin/metrics/message-frames.ts";
import type { WireMessage } from "../../plugin/metrics/message-frames.ts";

function frame(length: number): Buffer {
  const bytes = Buffer.alloc(5 + length);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

const lengths = [0, 1, 300, 70_000, 0, 4];
const bytes = Buffer.concat(lengths.map(frame));

for (const chunkBytes of [1, 2, 3, 5, 7, 4096, bytes.length]) {
  test(`all messages are found in chunks of ${chunkBytes} bytes`, () => {
    const seen: number[] = [];
    const frames = new MessageFrames({ received: (bytes) => seen.push(bytes) });
    for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
      frames.push(bytes.subarray(offset, offset + chunkBytes));
    }
    assert.deepEqual(seen, lengths);
  });
}

test("a message is reported when its last byte arrives", () => {
  const seen: number[] = [];
  const frames = new MessageFrames({ received: (bytes) => seen.push(bytes) });
  const message = frame(10);
  frames.push(message.subarray(0, 14));
  assert.deepEqual(seen, []);
  frames.push(message.subarray(14));
  assert.deepEqual(seen, [10]);
});

test("lengths above 2 GiB are read as unsigned numbers", () => {
  const frames = new MessageFrames({ received: () => assert.fail("the message is incomplete") });
  frames.push(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));
  frames.push(Buffer.alloc(1024));
});

const text = Buffer.from("grpc ".repeat(100));
const zipped = frame(0);
const compressed = gzipSync(text);
zipped[0] = 1;
zipped.writeUInt32BE(compressed.length, 1);

for (const chunkBytes of [1, 2, 3, 5, 1000]) {
  test(`the size before gzip compression is found in chunks of ${chunkBytes} bytes`, () => {
    const seen: WireMessage[] = [];
    const frames = new MessageFrames({
      received: (bytes, compressed, trailer) => seen.push({ bytes, compressed, trailer }),
    });
    const twice = Buffer.concat([zipped, compressed, frame(3), zipped, compressed]);
    for (let offset = 0; offset < twice.length; offset += chunkBytes) {
      frames.push(twice.subarray(offset, offset + chunkBytes));
    }
    const expected = { bytes: compressed.length, compressed: true, trailer: text.length };
    assert.deepEqual([seen[0], seen[2]], [expected, expected]);
    assert.equal(seen[1]?.compressed, false);
    assert.deepEqual(wireMessage(Buffer.concat([zipped, compressed])), expected);
  });
}
