import assert from "node:assert/strict";
import { test } from "node:test";
import { LatencyHistogram } from "../../echo/latency-histogram.ts";
import { createReporter } from "../../echo/reporter.ts";
import type { Output, Reporter } from "../../echo/reporter.ts";

/** Both outputs of a process, in the order of writing. */
class Outputs {
  stdout = "";
  stderr = "";
  #both = "";

  reporter(
    concurrency: number,
    terminal: { columns?: number } | undefined,
    refused?: string,
  ): Reporter {
    const stdout: Output = {
      ...terminal,
      isTTY: terminal !== undefined,
      write: (text) => this.#both += (this.stdout += text, text),
    };
    const stderr: Output = { write: (text) => this.#both += (this.stderr += text, text) };
    return createReporter({ concurrency, stdout, stderr, refused });
  }

  /** Returns what a terminal shows: the text after the last erasure of each line. */
  get screen(): string[] {
    return this.#both.split("\n").map((line) => line.split("\r\x1b[K").at(-1)!);
  }
}

class Tally {
  readonly latency = new LatencyHistogram();
  readonly errorsByCode = new Map<string, number>();
  elapsedSeconds = 0;

  /** Adds `seconds` in which `calls` succeeded after `latency` seconds each. */
  add(seconds: number, calls: number, latency: number): this {
    this.elapsedSeconds += seconds;
    for (let i = 0; i < calls; i++) this.latency.record(latency);
    return this;
  }

  fail(code: string, count: number): this {
    this.errorsByCode.set(code, (this.errorsByCode.get(code) ?? 0) + count);
    return this;
  }
}

for (const terminal of [undefined, { columns: 80 }]) {
  const where = terminal ? "on a terminal" : "without a terminal";

  test(`one concurrent call, ${where}: only a line per reply`, () => {
    const outputs = new Outputs();
    const reporter = outputs.reporter(1, terminal);
    const tally = new Tally();
    for (let i = 0; i < 10; i++) {
      reporter.reply('message:"hello"');
      reporter.progress(tally.add(1, 1, 0.01));
    }
    reporter.finish();
    assert.equal(outputs.stdout, 'message:"hello"\n'.repeat(10));
    assert.equal(outputs.stderr, "");
  });

  test(`identical errors, ${where}: one line, then one a second, none lost`, () => {
    const outputs = new Outputs();
    const reporter = outputs.reporter(50, terminal);
    const error = (at: number, details = "No connection") =>
      reporter.error("UNAVAILABLE", details, at);
    for (let i = 0; i < 50; i++) error(0.1);
    assert.equal(outputs.stderr, "UNAVAILABLE: No connection\n");
    error(1.05);
    assert.equal(outputs.stderr, "UNAVAILABLE: No connection\n");
    reporter.error("ABORTED", "other codes have lines of their own", 1.06);
    error(1.1, "No connection any more");
    error(1.2, "No connection any more");
    reporter.progress(new Tally().add(2, 0, 0));
    reporter.progress(new Tally().add(3.1, 0, 0));
    error(3.5);
    reporter.finish();
    assert.equal(
      outputs.stderr,
      [
        "UNAVAILABLE: No connection",
        "ABORTED: other codes have lines of their own",
        "UNAVAILABLE: No connection any more (51 times, this one last)",
        "UNAVAILABLE: No connection any more",
        "UNAVAILABLE: No connection",
        "",
      ].join("\n"),
    );
  });
}

test("advice follows the first refused connection, once, unless a call has succeeded", () => {
  const outputs = new Outputs();
  const reporter = outputs.reporter(1, undefined, "Start the server");
  reporter.error("ABORTED", "no", 0.1);
  for (const at of [0.2, 5]) reporter.error("UNAVAILABLE", "connect ECONNREFUSED", at);
  const line = "UNAVAILABLE: connect ECONNREFUSED\n";
  assert.equal(outputs.stderr, `ABORTED: no\n${line}Start the server\n${line}`);

  const answered = new Outputs();
  const later = answered.reporter(1, undefined, "Start the server");
  later.reply("hello");
  later.error("UNAVAILABLE", "connect ECONNREFUSED", 1);
  assert.equal(answered.stderr, line);
});

test("errors of one code share lines although grpc-js puts times into their details", () => {
  const outputs = new Outputs();
  const reporter = outputs.reporter(1, undefined);
  const details = (i: number) => `Deadline exceeded after 0.${200 + i % 9}s,LB pick: 0.00${i % 7}s`;
  for (let i = 0; i < 600; i++) reporter.error("DEADLINE_EXCEEDED", details(i), i / 10);
  // A minute later, an error is news again.
  for (const at of [120, 121]) reporter.error("DEADLINE_EXCEEDED", "late", at);
  reporter.finish();
  const lines = outputs.stderr.trimEnd().split("\n");
  const counts = lines.map((line) => Number(/ \((\d+) times/.exec(line)?.[1] ?? 1));
  // Lines after 0, 1, 3, 7, 15, 25, 35, 45 and 55 seconds.
  assert.deepEqual(counts, [1, 10, 20, 40, 80, 100, 100, 100, 100, 50, 1]);
  assert.equal(lines[1], `DEADLINE_EXCEEDED: ${details(10)} (10 times, this one last)`);
  assert.equal(lines.at(-1), "DEADLINE_EXCEEDED: late");
});

test("an error stays one line and can't control the terminal", () => {
  const outputs = new Outputs();
  const reporter = outputs.reporter(1, undefined);
  reporter.error("INTERNAL", "first\r\nsecond\x1b[2J\x9b2Jthird: \n", 0);
  assert.equal(outputs.stderr, "INTERNAL: first second [2J 2Jthird:\n");
});

test("concurrent calls, no terminal: a line every 5 s with rate and latency since the last line", () => {
  const outputs = new Outputs();
  const reporter = outputs.reporter(50, undefined);
  const tally = new Tally();
  reporter.reply("not shown");
  for (let i = 0; i < 5; i++) reporter.progress(tally.add(1, 1000, 0.002));
  for (let i = 0; i < 5; i++) reporter.progress(tally.add(1, 2000, 0.4));
  tally.fail("UNAVAILABLE", 7).fail("DEADLINE_EXCEEDED", 3);
  for (let i = 0; i < 7; i++) reporter.progress(tally.add(1, 0, 0));
  reporter.finish();
  assert.equal(
    outputs.stdout,
    [
      "5 s  1000 QPS  p50 2.00 ms  p95 2.00 ms  p99 2.00 ms",
      "10 s  2000 QPS  p50 400 ms  p95 400 ms  p99 400 ms",
      "15 s  2.0 QPS  UNAVAILABLE 7  DEADLINE_EXCEEDED 3",
      "",
    ].join("\n"),
  );
});

test("concurrent calls on a terminal: one line, redrawn in place, gone at the end", () => {
  const outputs = new Outputs();
  const reporter = outputs.reporter(50, { columns: 80 });
  const tally = new Tally();
  reporter.reply("not shown");
  assert.equal(outputs.stdout, "");
  reporter.progress(tally.add(1, 1000, 0.002));
  assert.deepEqual(outputs.screen, ["1 s  1000 QPS  p50 2.00 ms  p95 2.00 ms  p99 2.00 ms"]);
  reporter.progress(tally.add(1, 5, 0.002).fail("UNAVAILABLE", 2));
  assert.deepEqual(outputs.screen, [
    "2 s  7.0 QPS  p50 2.00 ms  p95 2.00 ms  p99 2.00 ms  UNAVAILABLE 2",
  ]);
  reporter.finish();
  assert.deepEqual(outputs.screen, [""]);
});

test("an error is printed above the live line", () => {
  const outputs = new Outputs();
  const reporter = outputs.reporter(50, { columns: 80 });
  reporter.progress(new Tally().add(1, 1000, 0.002));
  reporter.error("UNAVAILABLE", "No connection", 1.5);
  assert.deepEqual(outputs.screen, [
    "UNAVAILABLE: No connection",
    "1 s  1000 QPS  p50 2.00 ms  p95 2.00 ms  p99 2.00 ms",
  ]);
  assert.equal(outputs.stderr, "UNAVAILABLE: No connection\n");
});

for (const columns of [1, 10, 20, 52, 53, 54]) {
  test(`the live line fits ${columns} columns, the last one free`, () => {
    const outputs = new Outputs();
    const reporter = outputs.reporter(50, { columns });
    reporter.progress(new Tally().add(1, 1000, 0.002));
    const whole = "1 s  1000 QPS  p50 2.00 ms  p95 2.00 ms  p99 2.00 ms";
    assert.deepEqual(outputs.screen, [whole.slice(0, columns - 1)]);
  });
}

test("a terminal of unknown width, as in some containers, counts as 80 columns", () => {
  for (const terminal of [{}, { columns: 0 }]) {
    const outputs = new Outputs();
    const reporter = outputs.reporter(50, terminal);
    const tally = new Tally().add(1, 1000, 0.002);
    for (let i = 0; i < 10; i++) tally.fail(`CODE_${i}`, 1);
    reporter.progress(tally);
    assert.equal(outputs.screen[0]!.length, 79);
  }
});

test("a run shorter than a second writes no live line and erases none", () => {
  const outputs = new Outputs();
  const reporter = outputs.reporter(50, { columns: 80 });
  reporter.error("UNAVAILABLE", "No connection", 0.1);
  reporter.finish();
  assert.equal(outputs.stdout, "");
});
