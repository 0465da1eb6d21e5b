import assert from "node:assert/strict";
import { test } from "node:test";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import type { MetricReader } from "@opentelemetry/sdk-metrics";
import { PrometheusReader, renderProtobuf, startScrapeEndpoint } from "../../prometheus/mod.ts";
import { decodeFamilies } from "./metric-families.ts";

const ACCEPT = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;" +
  "encoding=delimited";

type Collected = Awaited<ReturnType<MetricReader["collect"]>>;

/** Ages the points of a collection. Sets of labels keep their identity, as in the SDK. */
function aged(reader: PrometheusReader, seconds: () => number): Pick<MetricReader, "collect"> {
  return {
    async collect(options): Promise<Collected> {
      const collected = await reader.collect(options);
      for (const { metrics } of collected.resourceMetrics.scopeMetrics) {
        for (const { dataPoints } of metrics) {
          for (const point of dataPoints as { startTime: [number, number]; endTime: unknown }[]) {
            point.startTime = [1_700_000_000, 5];
            point.endTime = [1_700_000_000 + seconds(), 0];
          }
        }
      }
      return collected;
    },
  };
}

/** Scrapes, and returns the start of each series, by family. */
async function starts(url: string): Promise<Record<string, unknown>> {
  const response = await fetch(url, { headers: { accept: ACCEPT } });
  const shown = decodeFamilies(await response.bytes()).flatMap(({ name, metric }) =>
    metric.map(({ counter, histogram }) =>
      [name, (counter ?? histogram)?.created_timestamp] as const
    )
  );
  return Object.fromEntries(shown.filter(([name]) => name.startsWith("start_")));
}

function instruments(reader: PrometheusReader) {
  const meter = new MeterProvider({ readers: [reader] }).getMeter("start");
  meter.createCounter("start.counter").add(1);
  meter.createHistogram("start.histogram").record(1);
  meter.createUpDownCounter("start.up.down").add(1);
  meter.createGauge("start.gauge").record(1);
  meter.createObservableCounter("start.observed").addCallback((result) => result.observe(1));
  return meter;
}

test("counters and histograms show their start if it lies before the first scrape", async () => {
  const reader = new PrometheusReader();
  instruments(reader);
  const endpoint = await startScrapeEndpoint({
    reader: aged(reader, () => 2),
    host: "127.0.0.1",
    port: 0,
  });
  try {
    const start = { seconds: 1_700_000_000, nanos: 5 };
    assert.deepEqual(await starts(endpoint.url), {
      start_counter_total: start,
      start_histogram: start,
      start_up_down: undefined,
      start_gauge: undefined,
      start_observed_total: undefined,
    });
  } finally {
    await endpoint.close();
  }
});

test("a series that was scraped within a second of its start never shows it", async () => {
  const reader = new PrometheusReader();
  const meter = instruments(reader);
  let seconds = 1; // Less the few nanoseconds of the start.
  const endpoint = await startScrapeEndpoint({
    reader: aged(reader, () => seconds),
    host: "127.0.0.1",
    port: 0,
  });
  try {
    await starts(endpoint.url);
    seconds = 20;
    meter.createCounter("start.later").add(1);
    const shown = await starts(endpoint.url);
    assert.equal(shown["start_counter_total"], undefined);
    assert.equal(shown["start_histogram"], undefined);
    assert.deepEqual(shown["start_later_total"], { seconds: 1_700_000_000, nanos: 5 });
  } finally {
    await endpoint.close();
  }
});

test("rendering without an endpoint shows no start, since it does not know the first scrape", async () => {
  const reader = new PrometheusReader();
  instruments(reader);
  const families = decodeFamilies(renderProtobuf(await aged(reader, () => 2).collect()));
  const counter = families.find(({ name }) => name === "start_counter_total");
  assert.equal(counter?.metric[0]?.counter?.value, 1);
  assert.equal(counter?.metric[0]?.counter?.created_timestamp, undefined);
});
