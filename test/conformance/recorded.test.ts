import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { currentRuntime } from "../../telemetry/runtime/runtime-name.ts";
import { assertOutcome } from "./assert-outcome.ts";
import type { Cases, Difference, ReproducedCase } from "./case.ts";
import { CHANNELS } from "./recorded-cases/channels.ts";
import { INTERRUPTED } from "./recorded-cases/interrupted.ts";
import { NAMES } from "./recorded-cases/names.ts";
import { PLAIN } from "./recorded-cases/plain.ts";
import { RETRIES } from "./recorded-cases/retries.ts";
import { callerSaw, RECORDED_CASES, streamsSeen } from "./recorded.ts";
import type { RecordedCase } from "./recorded.ts";
import { Harness } from "./harness.ts";

const CASES: Cases = { ...PLAIN, ...INTERRUPTED, ...RETRIES, ...NAMES, ...CHANNELS };

test("each of the 95 recorded cases is reproduced, and no other", () => {
  assert.equal(RECORDED_CASES.length, 95);
  assert.deepEqual(Object.keys(CASES).sort(), RECORDED_CASES.map(({ case: name }) => name).sort());
});

test("the plugin's README lists each difference", () => {
  const readme = readFileSync(new URL("../../plugin/README.md", import.meta.url), "utf8")
    .replaceAll(/\s+/g, " ");
  for (const [name, { differs, differsOn = {} }] of Object.entries(CASES)) {
    for (const difference of [differs, ...Object.values(differsOn)]) {
      assert.ok(difference === undefined || readme.includes(difference.reason), name);
    }
  }
});

/** Instruments of other gRFCs in the recorded cases, which other tests compare. */
const OTHER_INSTRUMENTS = [
  "grpc_lb_outlier_detection_ejections_enforced_total",
  "grpc_subchannel_connection_attempts_failed_total",
  "grpc_subchannel_connection_attempts_succeeded_total",
  "grpc_subchannel_disconnections_total",
  "grpc_subchannel_open_connections",
  "grpc_xds_client_connected",
  "grpc_xds_client_resource_updates_invalid_total",
  "grpc_xds_client_resource_updates_valid_total",
  "grpc_xds_client_resources",
  "grpc_xds_client_server_failure_total",
];

test("the only series not compared here are those of channels", () => {
  const instruments = RECORDED_CASES.flatMap((recorded) => recorded.client_other_series ?? [])
    .map((series) => series.slice(0, series.indexOf("{")));
  assert.deepEqual([...new Set(instruments)].sort(), OTHER_INSTRUMENTS);
});

for (const recorded of RECORDED_CASES) {
  const reproduced = CASES[recorded.case];
  if (reproduced !== undefined) {
    test(recorded.case, (t) => run(recorded, reproduced, new Harness(t)));
  }
}

function run(recorded: RecordedCase, reproduced: ReproducedCase, harness: Harness): Promise<void> {
  const differs: Partial<Difference> = reproduced.differsOn?.[currentRuntime().name] ??
    reproduced.differs ?? {};
  return assertOutcome(harness, reproduced.run, {
    saw: differs.caller ?? callerSaw(recorded),
    client: differs.client ?? recorded.client,
    server: [differs.server ?? recorded.server, ...differs.serverEither ?? []],
    streams: reproduced.streams ?? streamsSeen(recorded),
    leavesStreamOpen: reproduced.leavesStreamOpen,
  });
}
