/** Every log message is one line, and no value in it can end a program. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { run, RUNTIMES, Script } from "../support/script.ts";
import { THROWN } from "../support/thrown.ts";

suite("logging", { concurrency: true }, () => {
  for (const runtime of RUNTIMES) {
    test(`${runtime}: every kind of thrown value is logged in one line`, async (t) => {
      const script = new Script(t, run(runtime, "test/scripts/logging-program.ts"), {
        environment: { OTEL_METRICS_EXPORTER: "console", OTEL_LOG_LEVEL: "WARN" },
      });
      assert.equal(await script.exit(), 0, script.stderr);
      assert.match(script.stdout, /^stopped$/m);
      const lines = script.stderr.trimEnd().split("\n");
      for (const line of lines) {
        assert.match(line, /^OpenTelemetry (error|warning): [^\p{C}\p{Zl}]+$/u);
        assert.doesNotMatch(line, /^OpenTelemetry error: forged/);
      }
      for (const what of Object.keys(THROWN)) {
        assert.equal(lines.filter((line) => line.includes(`logged: ${what}: `)).length, 1, what);
      }
      assert.deepEqual(lines.filter((line) => line.includes("Dropped")), [
        "OpenTelemetry warning: Dropped 1 events because eventCountLimit reached",
      ]);
      assert.ok(
        lines.includes(
          "OpenTelemetry warning: logged: one line\\nOpenTelemetry error: forged\\u{d}\\u{1b}[2J",
        ),
      );
    });
  }
});
