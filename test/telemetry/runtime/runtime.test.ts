import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import type { MetricData } from "@opentelemetry/sdk-metrics";
import { currentRuntime, observeRuntime } from "../../../telemetry/runtime/mod.ts";
import { block, collect, requireTotal, TestReader, total } from "./collect.ts";

const DELAY = ["max", "mean", "min", "p50", "p90", "p99", "stddev"]
  .map((statistic) => `nodejs.eventloop.delay.${statistic}`);
const V8_HEAP = [
  "v8js.memory.heap.space.available_size",
  "v8js.memory.heap.space.physical_size",
  "v8js.memory.heap.space.size",
  "v8js.memory.heap.used",
];
const EXPECTED = {
  node: [
    ...DELAY,
    "nodejs.eventloop.time",
    "nodejs.eventloop.utilization",
    "v8js.gc.duration",
    ...V8_HEAP,
    "v8js.resource.active",
  ],
  bun: [...DELAY, "nodejs.external_memory", "nodejs.heap_size.total", "nodejs.heap_size.used"],
  deno: [...DELAY, ...V8_HEAP],
};

const { name: runtime } = currentRuntime();
const onNode = { skip: runtime !== "node" };

let reader: TestReader;
let provider: MeterProvider;
let remove: () => void;

beforeEach(async () => {
  reader = new TestReader();
  provider = new MeterProvider({ readers: [reader] });
  remove = await observeRuntime(provider);
});

afterEach(async () => {
  remove();
  await provider.shutdown();
});

type Metrics = Map<string, MetricData>;

/**
 * Repeats `work` and collects until `reached` accepts the metrics, because sampling and garbage
 * collection take their time.
 */
async function until(work: () => unknown, reached: (metrics: Metrics) => boolean) {
  for (let attempts = 0; attempts < 50; attempts++) {
    work();
    await delay(120); // lets the samples that an event loop delay needs come in
    const metrics = await collect(reader);
    if (reached(metrics)) return metrics;
  }
  assert.fail("not reached in 50 attempts");
}

function allocate(): object[] {
  return Array.from({ length: 200_000 }, (_, index) => ({ index }));
}

test("every metric of this runtime exists and none is a constant 0", async () => {
  const seen = new Map<string, number>();
  const held: object[][] = [];
  await until(() => held.push(allocate()), (metrics) => {
    for (const name of metrics.keys()) {
      seen.set(name, Math.max(seen.get(name) ?? 0, requireTotal(metrics, name)));
    }
    return EXPECTED[runtime].every((name) => (seen.get(name) ?? 0) > 0);
  });
  assert.deepEqual([...seen.keys()].sort(), EXPECTED[runtime].toSorted());
});

test("units make base-unit Prometheus names", async () => {
  const metrics = await until(() => {}, (metrics) => metrics.has("nodejs.eventloop.delay.max"));
  for (const [name, { descriptor }] of metrics) {
    const bytes = /heap|memory/.test(name);
    const seconds = /delay|duration|time$/.test(name);
    if (bytes) assert.equal(descriptor.unit, "By", name);
    if (seconds) assert.equal(descriptor.unit, "s", name);
    assert.notEqual(descriptor.description, "", name);
  }
});

test("a blocked event loop shows in the delay, an idle one does not", async () => {
  const name = "nodejs.eventloop.delay.max";
  const blocked = await until(
    () => setTimeout(block, 30, 200),
    (metrics) => (total(metrics, name) ?? 0) > 0.15,
  );
  assert.ok(requireTotal(blocked, name) < 5);
  assert.ok(requireTotal(blocked, "nodejs.eventloop.delay.min") < 0.15);
  await until(() => {}, (metrics) => (total(metrics, name) ?? Infinity) < 0.1);
});

test("retained objects show in the heap", async () => {
  const name = runtime === "bun" ? "nodejs.heap_size.used" : "v8js.memory.heap.used";
  const before = requireTotal(await collect(reader), name);
  const held: object[][] = [];
  await until(
    () => held.push(allocate()),
    (metrics) => requireTotal(metrics, name) > before + (20 << 20),
  );
});

test("the heap has its spaces", { skip: runtime === "bun" }, async () => {
  const metrics = await collect(reader);
  for (const name of V8_HEAP) {
    const spaces = metrics.get(name)?.dataPoints.map((p) => p.attributes["v8js.heap.space.name"]);
    assert.ok(spaces?.includes("old_space"), `${name}: ${spaces}`);
  }
});

test("a busy event loop shows in its active time", onNode, async () => {
  await collect(reader);
  await until(
    () => setImmediate(block, 300),
    (metrics) => requireTotal(metrics, "nodejs.eventloop.time") > 0.3,
  );
});

test("nothing is recorded after removal", async () => {
  assert.ok((await collect(reader)).size > 0);
  await delay(150); // samples that must not show any more
  remove();
  assert.equal((await collect(reader)).size, 0);
});

test("two providers are observed side by side", async () => {
  const otherReader = new TestReader();
  const otherProvider = new MeterProvider({ readers: [otherReader] });
  const removeOther = await observeRuntime(otherProvider);
  const heap = runtime === "bun" ? "nodejs.heap_size.total" : "v8js.memory.heap.space.size";
  remove();
  assert.ok(requireTotal(await collect(otherReader), heap) > 0);
  removeOther();
  await otherProvider.shutdown();
});
