import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { compareText, sortKey } from "../../prometheus/families/byte-order.ts";

/** Each kind of character, to be used alone and in pairs. */
const CHARACTERS = [
  "",
  "\0",
  "\x01",
  "\x02",
  "\n",
  " ",
  "a",
  "é",
  "\ud7ff",
  "\ue000",
  "\uffff",
  "😀",
];
const TEXTS = CHARACTERS.flatMap((a) => CHARACTERS.map((b) => a + b));

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

test("texts are compared by the bytes of their UTF-8 encoding", () => {
  for (const a of TEXTS) {
    for (const b of TEXTS) assert.equal(compareText(a, b), byBytes(a, b), JSON.stringify([a, b]));
  }
});

test("keys of several texts sort text by text", () => {
  const pairs = CHARACTERS.flatMap((a) => TEXTS.map((b) => [b, a] as const));
  const expected = pairs.toSorted(([a1, a2], [b1, b2]) => byBytes(a1, b1) || byBytes(a2, b2))
    .map((pair) => sortKey(pair));
  assert.deepEqual(pairs.map((pair) => sortKey(pair)).sort(), expected);
});

test("different texts have different keys", () => {
  const pairs = new Map(
    TEXTS.flatMap((a) => CHARACTERS.map((b) => [JSON.stringify([a, b]), [a, b]])),
  );
  assert.equal(new Set([...pairs.values()].map((pair) => sortKey(pair))).size, pairs.size);
});
