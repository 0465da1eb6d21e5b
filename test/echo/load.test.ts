import assert from "node:assert/strict";
import { test } from "node:test";
import { LoadRun, runLoad } from "../../echo/load.ts";
import type { Call, CallError, LoadOptions } from "../../echo/load.ts";
import { FakeClock } from "./fake-clock.ts";
import { Recorder } from "./recorder.ts";

const OPTIONS: LoadOptions = {
  concurrency: 1,
  qps: 0,
  count: 0,
  durationSeconds: 0,
  intervalMs: 0,
};
const UNAVAILABLE: CallError = { code: 14, details: "No connection established" };

/** Returns a call that ends after `ms` of the clock's time, or when it is cancelled. */
function timed(clock: FakeClock, ms: number): Call {
  return (done) => {
    const cancelTimer = clock.after(ms, () => done(null, "ok"));
    return {
      cancel() {
        cancelTimer();
        done({ code: 1, details: "Cancelled on client" });
      },
    };
  };
}

test("concurrency is reached and never exceeded", async () => {
  let running = 0;
  let most = 0;
  const call: Call = (done) => {
    running += 1;
    most = Math.max(most, running);
    const timer = setTimeout(() => {
      running -= 1;
      done(null, "ok");
    }, Math.random() * 5);
    return { cancel: () => clearTimeout(timer) };
  };
  await runLoad(call, { ...OPTIONS, concurrency: 8, count: 200 }, new Recorder());
  assert.equal(most, 8);
  assert.equal(running, 0);
});

for (const [concurrency, count] of [[1, 1], [7, 100], [50, 3]] as const) {
  test(`makes exactly ${count} calls with ${concurrency} workers`, async () => {
    let started = 0;
    const call: Call = (done) => {
      started += 1;
      // Failed calls count too.
      const error = started % 10 === 0 ? UNAVAILABLE : null;
      setImmediate(() => done(error, `reply ${started}`));
      return { cancel() {} };
    };
    const recorder = new Recorder();
    const summary = await runLoad(call, { ...OPTIONS, concurrency, count }, recorder);
    assert.equal(started, count);
    assert.equal(summary.calls, count);
    assert.equal(summary.succeeded, count - Math.floor(count / 10));
    assert.equal(recorder.replies.length, summary.succeeded);
    assert.equal(recorder.finished, 1);
  });
}

test("a call that ends before it returns works too", async () => {
  const call: Call = (done) => {
    done(null, "at once");
    return { cancel() {} };
  };
  const recorder = new Recorder();
  await runLoad(call, { ...OPTIONS, count: 3 }, recorder);
  assert.deepEqual(recorder.replies, ["at once", "at once", "at once"]);
});

test("stops after the duration", async () => {
  const clock = new FakeClock();
  const run = new LoadRun(
    timed(clock, 10),
    { ...OPTIONS, durationSeconds: 5 },
    new Recorder(),
    clock,
  );
  const summary = await clock.settle(run.run());
  assert.ok(Math.abs(summary.calls - 500) <= 1, `${summary.calls} calls`);
  assert.ok(Math.abs(summary.elapsedSeconds - 5) < 0.011, `${summary.elapsedSeconds} s`);
  assert.equal(summary.succeeded, summary.calls);
  assert.ok(Math.abs(summary.qps - 100) < 1);
  assert.ok(Math.abs(summary.latency!.p50 - 0.01) < 1e-4);
  assert.equal(clock.timersLeft, 0);
});

test("a duration longer than the longest timer does not end at once", async () => {
  const call: Call = (done) => {
    setTimeout(() => done(null, "ok"), 10);
    return { cancel() {} };
  };
  const options = { ...OPTIONS, durationSeconds: 30 * 24 * 3600, count: 3 };
  assert.equal((await runLoad(call, options, new Recorder())).calls, 3);
});

test("pauses after each reply, but not after the last", async () => {
  const clock = new FakeClock();
  const startMs = clock.now();
  const startedAt: number[] = [];
  const call: Call = (done) => {
    startedAt.push(Math.round(clock.now() - startMs));
    return timed(clock, 20)(done);
  };
  const options = { ...OPTIONS, intervalMs: 1000, count: 3 };
  const summary = await clock.settle(new LoadRun(call, options, new Recorder(), clock).run());
  assert.deepEqual(startedAt, [0, 1020, 2040]);
  assert.ok(summary.elapsedSeconds < 2.1, `${summary.elapsedSeconds} s`);
});

test("the last call doesn't wait for the other workers' pauses", async () => {
  const clock = new FakeClock();
  const options = {
    ...OPTIONS,
    concurrency: 2,
    intervalMs: 60_000,
    count: 3,
    durationSeconds: 3600,
  };
  const summary = await clock.settle(
    new LoadRun(timed(clock, 10), options, new Recorder(), clock).run(),
  );
  assert.equal(summary.calls, 3);
  assert.ok(summary.elapsedSeconds < 60.1, `${summary.elapsedSeconds} s`);
  assert.equal(clock.timersLeft, 0);
});

test("counts errors by the code's name", async () => {
  const codes = [14, 4, 14, 99, 0];
  const call: Call = (done) => {
    const code = codes.shift()!;
    setImmediate(() => done(code === 0 ? null : { code, details: `details of ${code}` }));
    return { cancel() {} };
  };
  const recorder = new Recorder();
  const summary = await runLoad(call, { ...OPTIONS, count: 5 }, recorder);
  assert.deepEqual([...summary.errorsByCode], [
    ["UNAVAILABLE", 2],
    ["DEADLINE_EXCEEDED", 1],
    ["Code(99)", 1],
  ]);
  assert.equal(summary.calls, 5);
  assert.equal(summary.succeeded, 1);
  assert.deepEqual(recorder.errors.map(({ code, details }) => [code, details]), [
    ["UNAVAILABLE", "details of 14"],
    ["DEADLINE_EXCEEDED", "details of 4"],
    ["UNAVAILABLE", "details of 14"],
    ["Code(99)", "details of 99"],
  ]);
});

test("beyond a limit, unknown codes are counted together", async () => {
  let code = 100;
  const call: Call = (done) => {
    const failure = { code: code === 400 ? 14 : code, details: "planned" };
    code++;
    setImmediate(() => done(failure));
    return { cancel() {} };
  };
  const clock = new FakeClock();
  const recorder = new Recorder();
  const run = new LoadRun(call, { ...OPTIONS, count: 301 }, recorder, clock).run();
  const { errorsByCode } = await clock.settle(run);
  assert.equal(errorsByCode.size, 34);
  assert.equal(errorsByCode.get("Code(131)"), 1);
  assert.equal(errorsByCode.get("other codes"), 268);
  assert.equal(errorsByCode.get("UNAVAILABLE"), 1);
  assert.equal(new Set(recorder.errors.map((error) => error.code)).size, 34);
});

test("latencies are of succeeded calls only", async () => {
  const clock = new FakeClock();
  let calls = 0;
  const call: Call = (done) => {
    calls += 1;
    const error = calls % 2 === 0 ? UNAVAILABLE : null;
    clock.after(error ? 1 : 400, () => done(error, "ok"));
    return { cancel() {} };
  };
  const { latency } = await clock.settle(
    new LoadRun(call, { ...OPTIONS, count: 10 }, new Recorder(), clock).run(),
  );
  assert.ok(Math.abs(latency!.min - 0.4) < 1e-9, `${latency!.min} s`);
  assert.ok(Math.abs(latency!.mean - 0.4) < 1e-9);
});

test("back-off doubles from 100 ms to 5 s with jitter, and success resets it", async () => {
  const clock = new FakeClock();
  const startedAt: number[] = [];
  const call: Call = (done) => {
    startedAt.push(clock.now());
    const error = startedAt.length === 11 ? null : UNAVAILABLE;
    clock.after(0, () => done(error, "ok"));
    return { cancel() {} };
  };
  await clock.settle(
    new LoadRun(call, { ...OPTIONS, count: 14 }, new Recorder(), clock).run(),
  );
  const pauses = startedAt.slice(1).map((at, index) => at - startedAt[index]!);
  const longest = [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000, 0, 100, 200];
  assert.equal(pauses.length, longest.length);
  for (const [index, pause] of pauses.entries()) {
    const limit = longest[index]!;
    assert.ok(
      pause >= limit / 2 - 1e-6 && pause <= limit + 1e-6,
      `pause ${index}: ${pause} ms of ${limit}`,
    );
  }
  assert.ok(new Set(pauses.slice(6, 10)).size > 1, "no jitter");
});

test("an abort ends pauses and waits for running calls within the grace", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  clock.after(3000, () => stop.abort());
  const options = { ...OPTIONS, concurrency: 4, intervalMs: 60_000, signal: stop.signal };
  let started = 0;
  const call: Call = (done) => timed(clock, ++started === 1 ? 3400 : 10)(done);
  const summary = await clock.settle(new LoadRun(call, options, new Recorder(), clock).run());
  assert.equal(summary.succeeded, 4);
  assert.equal(summary.calls, 4);
  assert.ok(Math.abs(summary.elapsedSeconds - 3.4) < 1e-6, `${summary.elapsedSeconds} s`);
  assert.equal(clock.timersLeft, 0);
});

for (const graceMs of [undefined, 250]) {
  test(`calls that outlive a grace of ${graceMs ?? "1000 (default)"} ms are cancelled`, async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    clock.after(3000, () => stop.abort());
    const options = { ...OPTIONS, concurrency: 4, graceMs, signal: stop.signal };
    const recorder = new Recorder();
    const summary = await clock.settle(
      new LoadRun(timed(clock, 3_600_000), options, recorder, clock).run(),
    );
    assert.deepEqual([...summary.errorsByCode], [["CANCELLED", 4]]);
    assert.ok(Math.abs(summary.elapsedSeconds - 3 - (graceMs ?? 1000) / 1000) < 1e-6);
    assert.equal(recorder.finished, 1);
    assert.equal(clock.timersLeft, 0);
  });
}

test("an abort after the duration doesn't prolong the grace", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  clock.after(2900, () => stop.abort());
  const options = { ...OPTIONS, durationSeconds: 2, signal: stop.signal };
  const summary = await clock.settle(
    new LoadRun(timed(clock, 3_600_000), options, new Recorder(), clock).run(),
  );
  assert.ok(Math.abs(summary.elapsedSeconds - 3) < 1e-6, `${summary.elapsedSeconds} s`);
});

test("an abort ends a back-off", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const call: Call = (done) => {
    clock.after(0, () => {
      done(UNAVAILABLE);
      setImmediate(() => stop.abort());
    });
    return { cancel() {} };
  };
  const options = { ...OPTIONS, signal: stop.signal };
  const run = new LoadRun(call, options, new Recorder(), clock).run();
  const summary = await clock.settle(run);
  assert.equal(summary.calls, 1);
  assert.equal(summary.elapsedSeconds, 0);
});

test("no call is made if the signal has already aborted", async () => {
  const clock = new FakeClock();
  const options = { ...OPTIONS, concurrency: 3, signal: AbortSignal.abort() };
  const run = new LoadRun(() => assert.fail("called"), options, new Recorder(), clock);
  const summary = await clock.settle(run.run());
  assert.equal(summary.calls, 0);
  assert.equal(summary.qps, 0);
  assert.equal(summary.latency, undefined);
});

test("a call that throws ends the run with its error", async () => {
  const recorder = new Recorder();
  let calls = 0;
  const call: Call = (done) => {
    calls += 1;
    if (calls === 5) throw new TypeError("a bug");
    setImmediate(() => done(null, "ok"));
    return { cancel() {} };
  };
  await assert.rejects(runLoad(call, { ...OPTIONS, concurrency: 2 }, recorder), TypeError);
  assert.equal(recorder.finished, 1);
});

test("reports progress once a second, and not after the end", async () => {
  const clock = new FakeClock();
  const recorder = new Recorder();
  await clock.settle(
    new LoadRun(timed(clock, 100), { ...OPTIONS, durationSeconds: 4.5 }, recorder, clock).run(),
  );
  assert.deepEqual(recorder.progressAt.map(Math.round), [1, 2, 3, 4]);
  assert.equal(clock.timersLeft, 0);
});
