/** A plugin that is given a no-op meter provider says so. The API's global provider is one here. */
import { createNoopMeter, metrics } from "@opentelemetry/api";
import type { Meter } from "@opentelemetry/api";
import assert from "node:assert/strict";
import { test } from "node:test";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { unary } from "../support/echo.ts";
import { withEchoPair } from "../support/echo-pair.ts";
import { eventuallyEqual } from "../support/eventually.ts";
import { Recording } from "../support/series.ts";

const warnings: string[] = [];
process.on("warning", ({ message }) => warnings.push(message));

test("a provider that records is no cause for a warning, nor is none", () =>
  withEchoPair({}, async ({ client }) => {
    new GrpcOpenTelemetry({});
    new GrpcOpenTelemetry({ meterProvider: undefined });
    assert.equal(await unary(client, "hello"), "hello");
    assert.deepEqual(warnings, []);
  }));

const WARNING =
  "gRPC metrics are not recorded, because the meterProvider is a no-op. Start the OpenTelemetry " +
  "SDK before metrics.getMeterProvider() is called";

test("a no-op provider is told once, also one of another copy of the API", async () => {
  class NoopMeter {}
  const { createCounter, createUpDownCounter, createHistogram } = createNoopMeter();
  const meter = Object.assign(new NoopMeter(), {
    createCounter,
    createUpDownCounter,
    createHistogram,
  });
  new GrpcOpenTelemetry({ meterProvider: { getMeter: () => meter as unknown as Meter } });
  await eventuallyEqual(() => warnings, [WARNING]);
  new GrpcOpenTelemetry({ meterProvider: metrics.getMeterProvider() });
  new GrpcOpenTelemetry(new Recording());
  await withEchoPair({}, async ({ client }) => {
    assert.equal(await unary(client, "hello"), "hello");
  });
  assert.deepEqual(warnings, [WARNING]);
});
