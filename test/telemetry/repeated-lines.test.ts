import assert from "node:assert/strict";
import { test } from "node:test";
import { RepeatedLines } from "../../telemetry/repeated-lines.ts";

const HOUR_MS = 3_600_000;

test("lines that differ only in numbers and ids are shown once in an hour, then with their count", () => {
  let nowMs = 0;
  const lines = new RepeatedLines(() => nowMs);
  assert.equal(lines.shown("Dropped 3 events"), "Dropped 3 events");
  assert.equal(lines.shown("Dropped 3 links"), "Dropped 3 links");
  assert.equal(lines.shown("Dropped 4 events"), undefined);
  nowMs = HOUR_MS - 1;
  assert.equal(lines.shown("Dropped 12 events"), undefined);
  nowMs = HOUR_MS;
  const events = "Dropped 5 events (and 2 more like it in between)";
  assert.equal(lines.shown("Dropped 5 events"), events);
  assert.equal(lines.shown("Dropped 6 events"), undefined);
  assert.equal(lines.shown("Dropped 1 links"), "Dropped 1 links");

  const ended = (id: string) => `Cannot execute the operation on ended Span {spanId: ${id}}`;
  assert.equal(lines.shown(ended("deadbeefdeadbeef")), ended("deadbeefdeadbeef"));
  assert.equal(lines.shown(ended("00f067aa0ba902b7")), undefined);
});

test("texts of a peer's choice make neither the log nor memory grow", () => {
  let nowMs = 0;
  const lines = new RepeatedLines(() => nowMs);
  const texts = Array.from({ length: 10_000 }, (_, i) => "x".repeat(i + 1));
  assert.equal(texts.filter((text) => lines.shown(text)).length, 100);
  nowMs = HOUR_MS;
  assert.equal(lines.shown("something new"), "something new");
});
