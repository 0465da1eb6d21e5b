import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { FamilyCatalog } from "../../prometheus/families/families.ts";
import { PrometheusReader, renderProtobuf, startScrapeEndpoint } from "../../prometheus/mod.ts";
import { renderProtobufSlices } from "../../prometheus/protobuf/render.ts";
import { decodeFamilies } from "./metric-families.ts";
import type { DecodedFamily, DecodedHistogram, DecodedMetric } from "./metric-families.ts";
import { record } from "./recorded.ts";

const ACCEPT = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;" +
  "encoding=delimited";

for (const data of ["empty", "names", "numbers", "conflicts", "rich"]) {
  test(`${data}: the first scrape by protobuf gets the same metrics as from Go`, async () => {
    const endpoint = await startScrapeEndpoint({
      reader: record(data),
      host: "127.0.0.1",
      port: 0,
    });
    try {
      const response = await fetch(endpoint.url, { headers: { accept: ACCEPT } });
      assert.equal(response.status, 200);
      assert.equal(
        response.headers.get("content-type"),
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; " +
          "encoding=delimited; escaping=underscores",
      );
      const families = decodeFamilies(await response.bytes());
      assert.deepEqual(families.map(comparable), goFamilies(data));
    } finally {
      await endpoint.close();
    }
  });

  test(`${data}: rendering protobuf without an endpoint gives the same metrics`, async () => {
    const families = decodeFamilies(renderProtobuf(await record(data).collect()));
    const own = goFamilies(data).filter(({ name }) => !name.startsWith("promhttp_"));
    assert.deepEqual(families.map(comparable), own);
  });
}

test("slices are small and show one snapshot", async () => {
  const reader = new PrometheusReader();
  const meter = new MeterProvider({ readers: [reader] }).getMeter("m");
  const histogram = meter.createHistogram("h");
  const recordAll = () => {
    for (let i = 0; i < 2000; i++) histogram.record(i, { i });
  };
  recordAll();
  const { resourceMetrics } = await reader.collect();
  const whole = renderProtobuf({ resourceMetrics });
  const slices: Uint8Array[] = [];
  for (const slice of renderProtobufSlices(new FamilyCatalog().families(resourceMetrics))) {
    slices.push(slice);
    recordAll();
  }
  assert.deepEqual(Buffer.concat(slices), Buffer.from(whole));
  assert.ok(whole.length > 5 * 65_536, `${whole.length} bytes`);
  assert.ok(slices.length > 40, "one for each batch of values, and for each 64 KiB");
  assert.ok(Math.max(...slices.map((slice) => slice.length)) < 70_000);
});

/** Returns what Go printed, without the known differences. */
function goFamilies(data: string): DecodedFamily[] {
  const bytes = readFileSync(new URL(`./fixtures/${data}.pb`, import.meta.url));
  return decodeFamilies(bytes).map(comparable).map((family) => ({
    ...family,
    metric: family.metric.map(withoutEmptySchemaUrl).map(withZeroThreshold),
  }));
}

/** Leaves out the times of the recording, and writes the buckets of native histograms one by one. */
function comparable(family: DecodedFamily): object & DecodedFamily {
  return {
    ...family,
    metric: family.metric.map(({ counter, histogram, ...metric }) => {
      if (counter !== undefined) return { ...metric, counter: { value: counter.value } };
      if (histogram === undefined) return metric;
      const { created_timestamp: _, ...rest } = histogram;
      const { positive_span, positive_delta, negative_span, negative_delta, ...value } = rest;
      if (value.schema === undefined) return { ...metric, histogram: value };
      const positive = bucketCounts(positive_span, positive_delta);
      const negative = bucketCounts(negative_span, negative_delta);
      return { ...metric, histogram: { ...value, positive, negative } };
    }),
  };
}

/** Returns index and count of each bucket that is not empty. Go also writes empty ones. */
function bucketCounts(
  spans: DecodedHistogram["positive_span"] = [],
  deltas: DecodedHistogram["positive_delta"] = [],
): [index: number, count: number][] {
  const buckets: [number, number][] = [];
  const rest = [...deltas];
  let index = 0;
  let count = 0;
  for (const { offset, length } of spans) {
    index += offset;
    for (let i = 0; i < length; i++) {
      count += rest.shift()!;
      if (count > 0) buckets.push([index, count]);
      index++;
    }
  }
  assert.deepEqual(rest, []);
  return buckets;
}

function withoutEmptySchemaUrl({ label = [], ...metric }: DecodedMetric): DecodedMetric {
  const shown = label.filter(({ name, value }) => name !== "otel_scope_schema_url" || value !== "");
  return shown.length === 0 ? metric : { label: shown, ...metric };
}

/** Go has a zero bucket without a width. */
function withZeroThreshold({ histogram, ...metric }: DecodedMetric): DecodedMetric {
  if (histogram?.zero_threshold !== 0) return histogram ? { ...metric, histogram } : metric;
  return { ...metric, histogram: { ...histogram, zero_threshold: 1e-128 } };
}
