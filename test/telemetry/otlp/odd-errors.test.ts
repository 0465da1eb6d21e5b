/** Any error value that an exporter passes or throws makes one line, and the export ends. */
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
} from "@opentelemetry/sdk-metrics";
import type { ResourceMetrics } from "@opentelemetry/sdk-metrics";
import assert from "node:assert/strict";
import { test } from "node:test";
import { METRICS, ReportingExporter, SPANS } from "../../../telemetry/otlp/reporting-exporter.ts";
import type { Exporter } from "../../../telemetry/otlp/reporting-exporter.ts";
import { PeriodicReader } from "../../../telemetry/periodic-reader.ts";
import { THROWN } from "../../support/thrown.ts";

type Callback = (result: { code: number; error?: Error }) => void;
type Export = (exported: unknown, done: Callback) => unknown;

/** The ways in which an exporter fails. */
const WAYS: Readonly<Record<string, (make: () => unknown) => Export>> = {
  "calls back with": (make) => (_, done) => done({ code: 1, error: make() as Error }),
  "throws": (make) => () => {
    throw make();
  },
  "rejects with": (make) => () => Promise.reject(make()),
  "first calls back with, then throws": (make) => (_, done) => {
    done({ code: 1, error: make() as Error });
    throw make();
  },
};

const ODD: Readonly<Record<string, () => unknown>> = {
  ...THROWN,
  "an error of itself": () => {
    const error = new AggregateError([], "");
    error.errors.push(error);
    return error;
  },
  "a code that throws": () => ({
    get code() {
      throw new Error("code");
    },
  }),
};

for (const [way, fail] of Object.entries(WAYS)) {
  for (const [what, make] of Object.entries(ODD)) {
    test(`an exporter that ${way} ${what}`, async () => {
      const lines: string[] = [];
      const report = (line: string) => lines.push(line);
      const target = ["http://localhost:4318", 60_000, report] as const;
      const failing = { export: fail(make) } as unknown as Exporter<unknown>;
      const metrics = new ReportingExporter(METRICS, failing, ...target);
      const spans = new ReportingExporter(SPANS, failing, ...target);
      let ends = 0;
      for (let i = 0; i < 2; i++) {
        await new Promise<void>((resolve) =>
          metrics.export({ scopeMetrics: [] } as unknown as ResourceMetrics, ({ code }) => {
            ends += code === 0 ? 1 : 0;
            resolve();
          })
        );
        await new Promise<void>((resolve) =>
          spans.export([], ({ code }) => {
            ends += code === 0 ? 1 : 0;
            resolve();
          })
        );
      }
      assert.equal(ends, 4);
      assert.equal(lines.length, 2);
      for (const line of [...lines, metrics.undelivered()!, spans.undelivered()!]) {
        assert.match(line, /^telemetry: [^\p{C}\p{Zl}]{1,500}$/u);
      }
    });
  }
}

for (const [what, make] of Object.entries(THROWN)) {
  test(`metrics are exported when a callback throws ${what}`, async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicReader({ exporter, exportIntervalMillis: 60_000 });
    const provider = new MeterProvider({ readers: [reader] });
    const meter = provider.getMeter("m");
    meter.createCounter("fine").add(1);
    meter.createObservableGauge("bad").addCallback(() => {
      throw make();
    });
    await provider.forceFlush();
    const [exported] = exporter.getMetrics();
    const names = exported?.scopeMetrics[0]?.metrics.map(({ descriptor }) => descriptor.name);
    assert.deepEqual(names, ["fine"]);
    await provider.shutdown();
  });
}
