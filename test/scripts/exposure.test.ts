/** The warning of servers whose metrics other hosts can reach. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RUNTIMES, startServer } from "../support/script.ts";

for (const runtime of RUNTIMES) {
  test(`${runtime}: one line warns about metrics that anybody can read`, async (t) => {
    const host = { OTEL_EXPORTER_PROMETHEUS_HOST: "0.0.0.0" };
    const { script, metricsUrl } = await startServer(t, runtime, host);
    assert.match(metricsUrl, /^http:\/\/0\.0\.0\.0:/);
    assert.equal(await script.stop(), 0);
    assert.match(script.stderr, /^OTEL_EXPORTER_PROMETHEUS_HOST=0\.0\.0\.0: anyone .*\n$/);
    const off = await startServer(t, runtime, { ...host, OTEL_METRICS_EXPORTER: "none" });
    assert.equal(await off.script.stop(), 0);
    assert.equal(off.script.stderr, "");
  });
}
