import assert from "node:assert/strict";
import { test } from "node:test";
import type { Attributes } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import {
  type ExpositionOptions,
  PrometheusReader,
  renderPrometheusText,
  startScrapeEndpoint,
} from "../../prometheus/mod.ts";
import { warningsOf } from "./warnings.ts";

function setUp(resource: Attributes = {}) {
  const reader = new PrometheusReader();
  const provider = new MeterProvider({
    readers: [reader],
    resource: resourceFromAttributes(resource),
  });
  return { reader, meter: provider.getMeter("m") };
}

const BARE = { withoutScopeInfo: true, withoutTargetInfo: true } as const;

/** Scrapes twice, and returns the sample lines and the warnings of both scrapes. */
async function scrape(reader: PrometheusReader, escaping: string, options: ExpositionOptions) {
  const endpoint = await startScrapeEndpoint({ reader, host: "127.0.0.1", port: 0, ...options });
  const headers = { accept: `text/plain;version=0.0.4;escaping=${escaping}` };
  const samples = async () => samplesOf(await (await fetch(endpoint.url, { headers })).text());
  let lines: string[] = [];
  const warnings = await warningsOf(async () => {
    lines = await samples();
    assert.deepEqual(await samples(), lines);
  });
  await endpoint.close();
  return { lines, warnings };
}

function samplesOf(text: string): string[] {
  return text.split("\n").filter((line) => !/^(?:#|promhttp_|$)/.test(line));
}

test("names that are the same after escaping are shown once, with one warning", async () => {
  const { reader, meter } = setUp();
  for (const name of ["a_b", "a.b", "a-b"]) meter.createGauge(name).record(name.charCodeAt(1));
  meter.createHistogram("h.x", { advice: { explicitBucketBoundaries: [] } }).record(1);
  meter.createGauge("h_x_count").record(2);
  const options = { ...BARE, translationStrategy: "NoTranslation" } as const;
  const escaped = await scrape(reader, "underscores", options);
  assert.deepEqual(escaped.lines, [
    "a_b 45",
    'h_x_bucket{le="+Inf"} 1',
    "h_x_sum 1",
    "h_x_count 1",
  ]);
  assert.deepEqual(
    escaped.warnings,
    [["a.b", "a-b"], ["a_b", "a-b"], ["h_x_count", "h_x"]].map(([name, rival]) =>
      `The metric ${name} is left out of the Prometheus text: ` +
      `with escaping=underscores its name collides with ${rival}`
    ),
  );
  const whole = await scrape(reader, "allow-utf-8", options);
  assert.equal(whole.lines.length, 7);
  assert.deepEqual(whole.warnings, []);
});

test("labels that are the same after escaping are joined, and series are shown once", async () => {
  const { reader, meter } = setUp();
  const gauge = meter.createGauge("g");
  gauge.record(1, { "a.b": "x", "a_b": "y" });
  gauge.record(2, { "c.d": "x" });
  gauge.record(3, { "c-d": "x" });
  const options = { ...BARE, translationStrategy: "NoTranslation" } as const;
  const { lines, warnings } = await scrape(reader, "underscores", options);
  assert.deepEqual(lines, ['g{c_d="x"} 3', 'g{a_b="x;y"} 1']);
  assert.deepEqual(warnings, [
    "The metric g of some attributes is left out of the Prometheus text: " +
    "with escaping=underscores their labels are not unique",
    "With escaping=underscores several labels have the name a_b; their values are joined",
  ]);
});

test("a colon is allowed in names of metrics only, while Go leaves it in names of labels", async () => {
  const { reader, meter } = setUp();
  meter.createGauge("a:b").record(1, { "c:d": "x" });
  const options = { ...BARE, translationStrategy: "NoTranslation" } as const;
  for (
    const [escaping, expected] of [
      ["allow-utf-8", 'a:b{"c:d"="x"} 1'],
      ["underscores", 'a:b{c_d="x"} 1'],
      ["dots", 'a:b{c__d="x"} 1'],
      ["values", 'a:b{U__c_3a_d="x"} 1'],
    ] as const
  ) {
    assert.deepEqual((await scrape(reader, escaping, options)).lines, [expected]);
  }
});

test("labels that Prometheus reserves are left out, with names of any characters too", async () => {
  const { reader, meter } = setUp();
  meter.createGauge("g").record(1, { "__name": "x" });
  meter.createGauge("h").record(1, { "": "x" });
  meter.createGauge("i").record(1);
  const options = { ...BARE, translationStrategy: "NoTranslation" } as const;
  const { lines, warnings } = await scrape(reader, "allow-utf-8", options);
  assert.deepEqual(lines, ["i 1"]);
  assert.equal(warnings.length, 2);
});

test("halves of characters become replacement characters in names too", async () => {
  const { reader, meter } = setUp();
  meter.createGauge("a\ud83d").record(1, { "b\ude00": "x" });
  const options = { ...BARE, translationStrategy: "NoTranslation" } as const;
  const text = renderPrometheusText(await reader.collect(), options);
  assert.deepEqual(samplesOf(text), ['{"a\ufffd","b\ufffd"="x"} 1']);
});

test("a resource label gives way to labels of the scope and of histograms, with one warning", async () => {
  const { reader, meter } = setUp({ "otel.scope.name": "x", le: "y", "__a__": "z", b: "1" });
  meter.createGauge("g").record(1);
  const options = { withoutTargetInfo: true, withResourceConstantLabels: /./ };
  const { lines, warnings } = await scrape(reader, "underscores", options);
  assert.deepEqual(lines, ['g{b="1",otel_scope_name="m",otel_scope_version=""} 1']);
  const start = "The resource attribute";
  assert.deepEqual(warnings, [
    `${start} "otel.scope.name" is no label of metrics: it is reserved as otel_scope_name`,
    `${start} "le" is no label of metrics: it is reserved as le`,
    `${start} "__a__" is no label of metrics: it has no valid label name`,
  ]);
});

test("values with an attribute of a resource label's name are left out, with one warning", async () => {
  const { reader, meter } = setUp({ "service.name": "shop" });
  const gauge = meter.createGauge("g");
  gauge.record(1, { "service_name": "x" });
  gauge.record(2);
  const options = { ...BARE, withResourceConstantLabels: /^service\.name$/ };
  const { lines, warnings } = await scrape(reader, "underscores", options);
  assert.deepEqual(lines, ['g{service_name="shop"} 2']);
  assert.deepEqual(warnings, [
    "The metric g of some attributes is left out of the Prometheus text: " +
    'the attribute "service_name" has the reserved label name service_name',
  ]);
});

test("a resource attribute that resolves late becomes a label then", async () => {
  let resolve = (_value: string) => {};
  const late = new Promise<string>((settle) => resolve = settle);
  const reader = new PrometheusReader();
  const resource = resourceFromAttributes({ "host.id": late, "host.name": "h" });
  new MeterProvider({ readers: [reader], resource }).getMeter("m").createGauge("g").record(1);
  const options = { ...BARE, withResourceConstantLabels: /^host/ };
  const endpoint = await startScrapeEndpoint({ reader, host: "127.0.0.1", port: 0, ...options });
  const lines = async () => samplesOf(await (await fetch(endpoint.url)).text());
  try {
    await warningsOf(async () => assert.deepEqual(await lines(), ['g{host_name="h"} 1']));
    resolve("1");
    await late;
    assert.deepEqual(await lines(), ['g{host_id="1",host_name="h"} 1']);
  } finally {
    await endpoint.close();
  }
});
