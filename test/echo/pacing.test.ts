import assert from "node:assert/strict";
import { test } from "node:test";
import { LoadRun, runLoad } from "../../echo/load.ts";
import type { Call, LoadOptions } from "../../echo/load.ts";
import { FakeClock } from "./fake-clock.ts";
import { Recorder } from "./recorder.ts";

/** Runs calls that take `callMs(number of the call)`, and returns their start times in ms. */
async function startTimes(
  clock: FakeClock,
  options: Partial<LoadOptions>,
  callMs: (call: number) => number,
): Promise<number[]> {
  const startMs = clock.now();
  const starts: number[] = [];
  const call: Call = (done) => {
    starts.push(clock.now() - startMs);
    clock.after(callMs(starts.length), () => done(null, "ok"));
    return { cancel() {} };
  };
  const all = { concurrency: 1, qps: 0, count: 0, durationSeconds: 10, intervalMs: 0, ...options };
  await clock.settle(new LoadRun(call, all, new Recorder(), clock).run());
  return starts;
}

function startedWithin(starts: readonly number[], fromMs: number, toMs: number): number {
  return starts.filter((at) => at >= fromMs && at < toMs).length;
}

for (const [qps, concurrency] of [[1, 1], [100, 1], [100, 10], [370, 50], [0.5, 50]] as const) {
  test(`${qps} QPS, ${concurrency} workers: all due calls are made, evenly spaced`, async () => {
    const starts = await startTimes(new FakeClock(), { qps, concurrency }, () => 1);
    assert.ok(Math.abs(starts.length - 10 * qps) <= 1, `${starts.length} calls`);
    for (const [index, at] of starts.entries()) {
      assert.ok(Math.abs(at - index * 1000 / qps) < 1e-6, `call ${index} at ${at} ms`);
    }
  });
}

test("late timers cost no calls", async () => {
  const clock = new FakeClock();
  const after = clock.after.bind(clock);
  let timers = 0;
  clock.after = (ms, callback) => after(ms + (++timers * 7) % 60, callback);
  const starts = await startTimes(clock, { qps: 100, concurrency: 10 }, () => 1);
  assert.ok(Math.abs(starts.length - 1000) <= 10, `${starts.length} calls`);
});

test("about one timer is set for each call", async () => {
  const clock = new FakeClock();
  const starts = await startTimes(clock, { qps: 100, concurrency: 10 }, () => 1);
  // The call itself sets one more; some are for the duration, the progress and waiting workers.
  assert.ok(clock.timersSet < 2 * starts.length + 40, `${clock.timersSet} timers`);
});

test("calls that were due while all workers were busy are dropped", async () => {
  // All 10 workers hang for 3 s from call 101 to 110, then answer quickly again.
  const starts = await startTimes(
    new FakeClock(),
    { qps: 100, concurrency: 10 },
    (call) => call > 100 && call <= 110 ? 3000 : 1,
  );
  assert.equal(startedWithin(starts, 1100, 3900), 0);
  for (let from = 3900; from < 10_000; from += 100) {
    const started = startedWithin(starts, from, from + 100);
    assert.ok(started <= 21, `${started} calls within 100 ms`);
  }
  assert.ok(Math.abs(startedWithin(starts, 5000, 10_000) - 500) <= 1);
});

test("with slow calls, the workers limit the rate", async () => {
  const starts = await startTimes(new FakeClock(), { qps: 100, concurrency: 2 }, () => 50);
  assert.ok(Math.abs(starts.length - 400) <= 4, `${starts.length} calls`);
});

test("no burst follows when the whole process was stopped", async () => {
  const clock = new FakeClock();
  clock.after(2005, () => clock.stall(4000));
  const starts = await startTimes(clock, { qps: 100, concurrency: 50 }, () => 1);
  for (let from = 6000; from < 10_000; from += 10) {
    const started = startedWithin(starts, from, from + 10);
    assert.ok(started <= 12, `${started} calls within 10 ms, at ${from} ms`);
  }
  assert.ok(Math.abs(startedWithin(starts, 7000, 10_000) - 300) <= 2);
});

test("on the real clock the rate is never exceeded", async () => {
  const call: Call = (done) => {
    setImmediate(() => done(null, "ok"));
    return { cancel() {} };
  };
  const options = { concurrency: 4, qps: 200, count: 100, durationSeconds: 0, intervalMs: 0 };
  const summary = await runLoad(call, options, new Recorder());
  assert.equal(summary.calls, 100);
  // The first call is due at once, so 100 calls take 99 intervals of 5 ms.
  assert.ok(summary.elapsedSeconds >= 0.494, `${summary.elapsedSeconds} s`);
});
