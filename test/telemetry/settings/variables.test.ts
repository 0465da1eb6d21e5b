/** The variables of telemetry alone, without those of the scripts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readSettings } from "../../../telemetry/settings/mod.ts";

test("telemetry reads only OTEL_* and GRPC_METRICS_*", () => {
  const settings = readSettings({ ECHO_COUNT: "ten", GRPC_TLS_CERT: "no/such.pem" });
  for (const name of Object.keys(settings)) assert.match(name, /^(OTEL|GRPC_METRICS)_/);
});
