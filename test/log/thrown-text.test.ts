import assert from "node:assert/strict";
import { test } from "node:test";
import { namedThrownText, oneLine, thrownText } from "../../log/thrown-text.ts";
import { THROWN } from "../support/thrown.ts";

test("thrownText returns an error's message, and namedThrownText its name too", () => {
  const error = new TypeError("x is not a function");
  assert.equal(thrownText(error), "x is not a function");
  assert.equal(namedThrownText(error), "TypeError: x is not a function");
  assert.equal(thrownText({ message: "of no class" }), "of no class");
  assert.equal(thrownText(new RangeError("")), "RangeError");
  assert.equal(thrownText("a text"), "a text");
  assert.equal(thrownText(undefined), "undefined");
});

for (const [what, make] of Object.entries(THROWN)) {
  test(`${what} is described in one short line`, () => {
    for (const text of [thrownText(make()), namedThrownText(make())]) {
      assert.match(text, /^[^\p{C}\p{Zl}\p{Zp}]{1,300}$/u);
    }
  });
}

test("characters that forge a line or move a terminal's cursor are escaped", () => {
  assert.equal(
    thrownText(new Error("\na\u001b[2J\u009b\u2028\u202e\ud800 ü 😀\nb")),
    "a\\u{1b}[2J\\u{9b}\\u{2028}\\u{202e}\\u{d800} ü 😀",
  );
});

test("a long text is cut between characters and escapes, within its limit", () => {
  assert.equal(oneLine("abcde", 5), "abcde");
  assert.equal(oneLine("abcdef", 5), "abcd…");
  assert.equal(oneLine("abc😀", 5), "abc😀");
  assert.equal(oneLine("abc😀f", 5), "abc…");
  assert.equal(oneLine("a\nbcd", 5), "a\\nb…");
  assert.equal(oneLine("abc\u0000", 5), "abc…");
  assert.equal(thrownText("x".repeat(50_000_000)), `${"x".repeat(299)}…`);
});
