import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageFrames } from "../../plugin/message-frames.ts";

function frame(length: number): Buffer {
  const bytes = Buffer.alloc(5 + length);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

const lengths = [0, 1, 300, 70_000, 0, 4];
const bytes = Buffer.concat(lengths.map(frame));
const total = lengths.reduce((sum, length) => sum + length, 0);

for (const chunkBytes of [1, 2, 3, 5, 7, 4096, bytes.length]) {
  test(`messages that come in chunks of ${chunkBytes} bytes are all counted`, () => {
    const frames = new MessageFrames();
    let counted = 0;
    for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
      counted += frames.push(bytes.subarray(offset, offset + chunkBytes));
    }
    assert.equal(counted, total);
  });
}

test("a message is counted when its last byte is there, not before", () => {
  const frames = new MessageFrames();
  const message = frame(10);
  assert.equal(frames.push(message.subarray(0, 14)), 0);
  assert.equal(frames.push(message.subarray(14)), 10);
});

test("lengths above two gibibytes are read as unsigned", () => {
  const prefix = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
  const frames = new MessageFrames();
  assert.equal(frames.push(prefix), 0);
  assert.equal(frames.push(Buffer.alloc(1024)), 0);
});
