// Records the fixtures' data through the JavaScript SDK, as it was recorded in Go.

import { readFileSync } from "node:fs";
import type { Attributes, Meter, ObservableCallback } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { AggregationType, MeterProvider } from "@opentelemetry/sdk-metrics";
import { PrometheusReader } from "../../prometheus/mod.ts";

type Recorded = number | "NaN" | "+Inf" | "-Inf" | "-0";

interface Point {
  readonly attributes: Attributes;
  readonly value?: Recorded;
  readonly values?: Recorded[];
  readonly repeat?: number;
}

interface Instrument {
  readonly kind:
    | "counter"
    | "upDownCounter"
    | "gauge"
    | "histogram"
    | "observableCounter"
    | "observableUpDownCounter"
    | "observableGauge";
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  readonly bounds?: number[];
  readonly points: Point[];
}

interface Data {
  readonly resource: Attributes;
  readonly scopes: {
    readonly name: string;
    readonly version: string;
    readonly schemaUrl: string;
    readonly instruments: Instrument[];
  }[];
}

const FIXTURES = new URL("./fixtures/", import.meta.url);

/** Reads a fixture. */
export function fixture(file: string): string {
  return readFileSync(new URL(file, FIXTURES), "utf8");
}

/**
 * Returns the text that Go printed, without the one known difference: Go prints the label of a scope's
 * schema URL even if it is empty.
 */
export function goText(file: string): string {
  return fixture(file).replaceAll('otel_scope_schema_url="",', "");
}

/** Records a fixture's data, and returns the reader that collects it. */
export function record(name: string): PrometheusReader {
  const data: Data = JSON.parse(fixture(`${name}.data.json`));
  const reader = new PrometheusReader();
  const provider = new MeterProvider({
    resource: resourceFromAttributes(data.resource),
    readers: [reader],
    views: [{
      instrumentName: "exponential.*",
      aggregation: {
        type: AggregationType.EXPONENTIAL_HISTOGRAM,
        options: { maxSize: 160, recordMinMax: true },
      },
    }],
  });
  for (const { name, version, schemaUrl, instruments } of data.scopes) {
    const meter = provider.getMeter(name, version, schemaUrl === "" ? {} : { schemaUrl });
    for (const instrument of instruments) recordInstrument(meter, instrument);
  }
  return reader;
}

function recordInstrument(meter: Meter, { kind, name, points, bounds, ...rest }: Instrument): void {
  const each = (write: (value: number, attributes: Attributes) => void) => {
    for (const { attributes, value, values = [value as Recorded], repeat = 1 } of points) {
      for (let i = 0; i < repeat; i++) {
        for (const recorded of values) write(numberOf(recorded), attributes);
      }
    }
  };
  const observe: ObservableCallback = (result) =>
    each((value, attributes) => result.observe(value, attributes));
  switch (kind) {
    case "counter": {
      const counter = meter.createCounter(name, rest);
      return each((value, attributes) => counter.add(value, attributes));
    }
    case "upDownCounter": {
      const counter = meter.createUpDownCounter(name, rest);
      return each((value, attributes) => counter.add(value, attributes));
    }
    case "gauge": {
      const gauge = meter.createGauge(name, rest);
      return each((value, attributes) => gauge.record(value, attributes));
    }
    case "histogram": {
      const advice = bounds === undefined ? {} : { explicitBucketBoundaries: bounds };
      const histogram = meter.createHistogram(name, { ...rest, advice });
      return each((value, attributes) => histogram.record(value, attributes));
    }
    case "observableCounter":
      return meter.createObservableCounter(name, rest).addCallback(observe);
    case "observableUpDownCounter":
      return meter.createObservableUpDownCounter(name, rest).addCallback(observe);
    case "observableGauge":
      return meter.createObservableGauge(name, rest).addCallback(observe);
  }
}

/** Converts the numbers that JSON lacks. `-0` is a string too, because JSON writers drop its sign. */
function numberOf(recorded: Recorded): number {
  return typeof recorded === "number" ? recorded : Number(recorded.replace("Inf", "Infinity"));
}
