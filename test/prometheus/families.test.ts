import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import type { Attributes } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { AggregationType, MeterProvider, type ViewOptions } from "@opentelemetry/sdk-metrics";
import { FamilyCatalog } from "../../prometheus/families/families.ts";
import { LabelBuilder } from "../../prometheus/families/labels.ts";
import { PrometheusReader, renderPrometheusText } from "../../prometheus/mod.ts";
import { PROMETHEUS_TEXT, renderSlices } from "../../prometheus/text/render.ts";
import { record } from "./recorded.ts";
import { warningsOf } from "./warnings.ts";

function setUp(resource: Attributes = {}, views: ViewOptions[] = []) {
  const reader = new PrometheusReader();
  const options = { resource: resourceFromAttributes(resource), readers: [reader], views };
  const provider = new MeterProvider(options);
  return { reader, provider, meter: provider.getMeter("m", "1") };
}

/** Returns the sample lines without `target_info`, and without the labels of the scope. */
async function samples(reader: PrometheusReader): Promise<string[]> {
  const text = renderPrometheusText(await reader.collect());
  return text.replaceAll(/,?otel_scope_name="m",otel_scope_version="1"/g, "").split("\n")
    .filter((line) => !/^(?:#|target_info|$)/.test(line));
}

test("each conflict is logged once", async () => {
  const reader = record("conflicts");
  const catalog = new FamilyCatalog();
  const render = async () => {
    const { resourceMetrics } = await reader.collect();
    return [...renderSlices(catalog.families(resourceMetrics), PROMETHEUS_TEXT)].join("");
  };
  let first = "";
  const warnings = await warningsOf(async () => first = await render());
  const about = warnings.map((text) => text.replace(/^.*the metric (\w+).*?$/i, "$1")).sort();
  const badKeys = Array(4).fill("bad_labels_total");
  assert.deepEqual(about, [
    ...badKeys,
    "help",
    "kind_total",
    "later",
    "suffix_count",
    "target_info",
    "twice_total",
  ]);
  let second = "";
  assert.deepEqual(await warningsOf(async () => second = await render()), []);
  assert.equal(second, first);
});

test("the first type of a name stays, even if the order of the scopes changes", async () => {
  const { reader, provider, meter } = setUp();
  meter.createCounter("a").add(1);
  provider.getMeter("z").createGauge("a.total").record(2);
  const { resourceMetrics } = await reader.collect();
  const turned = { ...resourceMetrics, scopeMetrics: resourceMetrics.scopeMetrics.toReversed() };
  const catalog = new FamilyCatalog();
  const namesAndTypes = (collected: typeof turned) =>
    catalog.families(collected).map(({ name, type }) => `${name} ${type}`);
  assert.deepEqual(namesAndTypes(resourceMetrics), ["a_total counter", "target_info gauge"]);
  assert.deepEqual(namesAndTypes(turned), ["a_total counter", "target_info gauge"]);
});

test("a histogram with an attribute le is left out, while Go prints the label le twice", async () => {
  const { reader, meter } = setUp();
  const advice = { explicitBucketBoundaries: [1] };
  const histogram = meter.createHistogram("h", { advice });
  histogram.record(1, { le: "x" });
  histogram.record(1, { ok: "x" });
  meter.createCounter("c").add(1, { le: "x" });
  let lines: string[] = [];
  const warnings = await warningsOf(async () => lines = await samples(reader));
  assert.deepEqual(lines, [
    'c_total{le="x"} 1',
    'h_bucket{ok="x",le="1"} 1',
    'h_bucket{ok="x",le="+Inf"} 1',
    'h_sum{ok="x"} 1',
    'h_count{ok="x"} 1',
  ]);
  assert.equal(warnings.length, 1);
});

test("attribute values that Go does not have are printed too", async () => {
  const { reader, meter } = setUp();
  const counter = meter.createCounter("c");
  const values = [undefined, null, NaN, -Infinity, new Uint8Array([255, 0]), [NaN, "\u2029"]];
  for (const [i, v] of values.entries()) counter.add(i, { i, v });
  assert.deepEqual(await samples(reader), [
    'c_total{i="0",v=""} 0',
    'c_total{i="1",v=""} 1',
    'c_total{i="2",v="NaN"} 2',
    'c_total{i="3",v="-Infinity"} 3',
    'c_total{i="4",v="/wA="} 4',
    'c_total{i="5",v="[\\"NaN\\",\\"\\\\u2029\\"]"} 5',
  ]);
});

test("a histogram without bounds has the +Inf bucket, and one without a sum has the sum 0", async () => {
  const options = { recordMinMax: false, boundaries: [] };
  const type = AggregationType.EXPLICIT_BUCKET_HISTOGRAM;
  const { reader, meter } = setUp({}, [{ instrumentName: "u", aggregation: { type, options } }]);
  meter.createUpDownCounter("u").add(-3);
  assert.deepEqual(await samples(reader), [
    'u_bucket{,le="+Inf"} 1', // the comma is there because samples() removed the scope's labels
    "u_sum{} 0",
    "u_count{} 1",
  ]);
});

test("an exponential histogram with a scale too small for Prometheus is left out", async () => {
  const type = AggregationType.EXPONENTIAL_HISTOGRAM;
  const options = { maxSize: 2, recordMinMax: false };
  const { reader, meter } = setUp({}, [{ instrumentName: "e", aggregation: { type, options } }]);
  const histogram = meter.createHistogram("e");
  histogram.record(1e-300);
  histogram.record(1e300);
  let lines: string[] = [];
  const warnings = await warningsOf(async () => lines = await samples(reader));
  assert.deepEqual(lines, []);
  assert.match(warnings[0] ?? "", /metric e of some attributes.*scale is -\d/);
});

test("an invalid resource costs only target_info", async () => {
  const { reader, meter } = setUp({ "__name__": "x" });
  meter.createCounter("c").add(1);
  let text = "";
  const warnings = await warningsOf(async () =>
    text = renderPrometheusText(await reader.collect())
  );
  assert.doesNotMatch(text, /target_info/);
  assert.match(text, /^c_total/m);
  assert.equal(warnings.length, 1);
});

test("slices are small and show one snapshot", async () => {
  const { reader, meter } = setUp();
  const histogram = meter.createHistogram("h");
  const counter = meter.createCounter("z");
  const recordAll = () => {
    for (let i = 0; i < 1000; i++) histogram.record(i, { i });
    counter.add(1);
  };
  recordAll();
  const { resourceMetrics } = await reader.collect();
  const whole = renderPrometheusText({ resourceMetrics });
  const slices: string[] = [];
  for (
    const slice of renderSlices(new FamilyCatalog().families(resourceMetrics), PROMETHEUS_TEXT)
  ) {
    slices.push(slice);
    recordAll();
    if (slices.length % 10 === 0) await reader.collect();
  }
  assert.equal(slices.join(""), whole);
  assert.ok(slices.length > 20);
  assert.ok(Math.max(...slices.map((slice) => slice.length)) < 70_000);
});

test("labels are read once for each scope and resource, even if keys become the same name", async () => {
  const keys = Array.from({ length: 729 }, (_, i) => `k${threeSeparators(i)}`);
  let reads = 0;
  const attributes = new Proxy(Object.fromEntries(keys.map((key) => [key, key])), {
    get(target, key) {
      reads++;
      return target[key as string];
    },
  });
  const { reader } = setUp();
  const { resourceMetrics } = await reader.collect();
  const collected = { ...resourceMetrics, resource: { attributes } };
  const catalog = new FamilyCatalog();
  const render = () => [...renderSlices(catalog.families(collected), PROMETHEUS_TEXT)].join("");
  const first = render();
  assert.ok(first.includes(`target_info{k_x_x_x_x_x_x="${[...keys].sort().join(";")}"} 1`), first);
  assert.equal(reads, keys.length);
  assert.equal(render(), first);
  assert.equal(reads, keys.length);
});

/** Returns a different combination of three separators, which all become underscores, per number. */
function threeSeparators(number: number): string {
  return [1, 3, 9, 27, 81, 243].map((place) => `${"-./"[Math.floor(number / place) % 3]}x`).join(
    "",
  );
}

test("the time for many labels grows linearly", () => {
  const seconds = (count: number) => {
    const keys = Array.from({ length: count }, (_, i) => [`attribute.${i}`, "value"]);
    const attributes = Object.fromEntries(keys);
    const start = performance.now();
    new LabelBuilder([]).build(attributes);
    return performance.now() - start;
  };
  const fastest = (count: number) => Math.min(...Array.from({ length: 5 }, () => seconds(count)));
  fastest(5_000);
  // Sixteen times as many: 16 would be linear, 256 quadratic.
  assert.ok(fastest(80_000) < 128 * fastest(5_000));
});

test("warnings are limited in number and length, and are one line each", async () => {
  const { reader, meter } = setUp();
  const counter = meter.createCounter("c");
  for (let i = 0; i < 1000; i++) {
    counter.add(1, { ["__" + i + "\n\u001b" + "x".repeat(500) + "__"]: 1 });
  }
  const { resourceMetrics } = await reader.collect();
  const catalog = new FamilyCatalog();
  const render = () => [...renderSlices(catalog.families(resourceMetrics), PROMETHEUS_TEXT)];
  const warnings = await warningsOf(render);
  assert.equal(warnings.length, 101);
  for (const warning of warnings) {
    assert.ok(warning.length <= 300);
    assert.doesNotMatch(warning, /\p{Cc}/u);
  }
  assert.deepEqual(await warningsOf(render), []);
});

test("halves of characters are printed as UTF-8 has them, and no series is printed twice", async () => {
  const [emoji, first, second] = ["\u{1f600}", "\ud83d", "\ude00"];
  const { reader, meter } = setUp({ host: `a${first}` });
  const counter = meter.createCounter("c", { description: `half ${second}` });
  counter.add(1, { who: emoji });
  counter.add(2, { who: `x${first}` });
  counter.add(4, { who: `x${second}` });
  const { resourceMetrics } = await reader.collect();
  const render = () =>
    [...renderSlices(new FamilyCatalog().families(resourceMetrics), PROMETHEUS_TEXT)].join("");
  let text = "";
  const warnings = await warningsOf(() => text = render());
  assert.equal(Buffer.from(text).toString(), text);
  assert.match(text, /^# HELP c_total half \ufffd$/m);
  assert.match(text, /^target_info\{host="a\ufffd"\} 1$/m);
  const values = [...text.matchAll(/^c_total\{.*who="(.*)"\} (\d)$/gm)];
  assert.deepEqual(values.map(([, who, value]) => [who, value]), [["x\ufffd", "2"], [emoji, "1"]]);
  assert.equal(warnings.length, 1);
});
