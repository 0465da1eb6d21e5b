import { ROOT_CONTEXT } from "@opentelemetry/api";
import type { Attributes, Counter, Histogram, MeterProvider as Provider } from "@opentelemetry/api";
import { hrTimeToMilliseconds } from "@opentelemetry/core";
import {
  AggregationTemporality,
  AggregationType,
  createAllowListAttributesProcessor,
  createDenyListAttributesProcessor,
  MeterProvider,
  MetricReader,
} from "@opentelemetry/sdk-metrics";
import type { MeterProviderOptions } from "@opentelemetry/sdk-metrics";
import assert from "node:assert/strict";
import { test } from "node:test";
import { FlatHistogram } from "../../plugin/metrics/flat-histogram.ts";
import { createSeries, IGNORES_CONTEXT, readsContext } from "../../plugin/metrics/sdk-storage.ts";

class ManualReader extends MetricReader {
  constructor(temporality = AggregationTemporality.CUMULATIVE, cardinalityLimit = 2000) {
    super({
      aggregationTemporalitySelector: () => temporality,
      cardinalitySelector: () => cardinalityLimit,
    });
  }
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

const CUMULATIVE = () => new ManualReader();
const DELTA = () => new ManualReader(AggregationTemporality.DELTA);

/** Returns a processor of labels that is marked to ignore the context. */
function marked(process: (labels: Attributes) => Attributes) {
  return Object.assign({ process }, { [IGNORES_CONTEXT]: true });
}

const SETUPS: readonly (readonly [
  what: string,
  readers: readonly (() => ManualReader)[],
  views: NonNullable<MeterProviderOptions["views"]>,
])[] = [
  ["one reader", [CUMULATIVE], []],
  ["a delta reader", [DELTA], []],
  ["a cumulative and a delta reader", [CUMULATIVE, DELTA], []],
  ["no reader", [], []],
  ["a limit of four series", [() => new ManualReader(undefined, 4)], []],
  ["a view with other bounds", [CUMULATIVE, DELTA], [{
    instrumentName: "duration",
    aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries: [5] } },
  }]],
  ["a view without minimum and maximum", [CUMULATIVE, DELTA], [{
    instrumentName: "duration",
    aggregation: {
      type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM,
      options: { boundaries: [5, 10], recordMinMax: false },
    },
  }]],
  ["a view without bounds", [CUMULATIVE], [{
    instrumentName: "duration",
    aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries: [] } },
  }]],
  ["a view with exponential buckets", [CUMULATIVE, DELTA], [{
    instrumentName: "duration",
    aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM },
  }]],
  ["a view that removes a label", [CUMULATIVE], [{
    instrumentName: "*",
    attributesProcessors: [createAllowListAttributesProcessor(["method"])],
  }]],
  ["a view that removes some of several labels", [CUMULATIVE, DELTA], [{
    instrumentName: "*",
    attributesProcessors: [
      createDenyListAttributesProcessor(["method"]),
      createAllowListAttributesProcessor(["status"]),
    ],
  }]],
  ["a view that changes labels, a view that removes some, and none", [CUMULATIVE, DELTA], [
    {
      instrumentName: "duration",
      name: "renamed",
      attributesProcessors: [
        marked(({ method, ...labels }) => ({ ...labels, renamed: method })),
      ],
    },
    {
      instrumentName: "duration",
      name: "fewer",
      attributesProcessors: [createAllowListAttributesProcessor(["status"])],
    },
    { instrumentName: "duration" },
  ]],
  ["a view that changes labels, and a limit of four series", [CUMULATIVE, DELTA], [{
    instrumentName: "duration",
    attributesProcessors: [marked(({ method }) => ({ renamed: method }))],
    aggregationCardinalityLimit: 4,
  }]],
  ["a view that drops the metric", [CUMULATIVE], [{
    instrumentName: "duration",
    aggregation: { type: AggregationType.DROP },
  }]],
  ["two views of one instrument", [CUMULATIVE], [
    { instrumentName: "duration", name: "first" },
    { instrumentName: "duration", name: "second" },
  ]],
];

/** Returns a generator of numbers in [0, 1) that depend only on the seed. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

/** Returns mostly values below 20, some bucket bounds, and some NaN, which the SDK ignores. */
function randomValue(random: () => number): number {
  const value = random() * 20;
  if (value < 1) return NaN;
  if (value < 2) return 0;
  return value < 5 ? Math.ceil(value) * 5 : value;
}

const LABELS = ["A", "B", "C", "D", "E"].flatMap((method) =>
  ["OK", "CANCELLED"].map((status) => ({ method, status }))
);

for (const [what, readers, views] of SETUPS) {
  test(`series record the same values as the SDK's instruments: ${what}`, async () => {
    function setUp() {
      const own = readers.map((create) => create());
      const meter = new MeterProvider({ readers: own, views }).getMeter("test");
      return {
        readers: own,
        histogram: meter.createHistogram("duration"),
        counter: meter.createCounter("started"),
      };
    }
    const direct = setUp();
    const bound = setUp();
    // Two series have the same labels, as for calls on two channels to one target.
    const histograms = [0, 1].map(() =>
      LABELS.map((labels) => createSeries(bound.histogram, labels))
    );
    const counters = LABELS.map((labels) => createSeries(bound.counter, labels));
    const random = randomNumbers(7);

    for (let collection = 0; collection < 5; collection++) {
      for (let i = 0; i < 200; i++) {
        const label = Math.floor(random() * LABELS.length);
        const value = randomValue(random);
        direct.histogram.record(value, LABELS[label]);
        histograms[i % 2]![label]!.record(value, undefined);
        direct.counter.add(1, LABELS[label]);
        counters[label]!.record(1, undefined);
      }
      // The readers collect at different times.
      for (const [i, reader] of direct.readers.entries()) {
        if (i > 0 && collection % 2 === 0) continue;
        assert.deepEqual(await points(bound.readers[i]!), await points(reader));
      }
    }
  });
}

async function points(reader: ManualReader) {
  const { resourceMetrics, errors } = await reader.collect();
  assert.deepEqual(errors, []);
  return resourceMetrics.scopeMetrics.flatMap(({ metrics }) =>
    metrics.map(({ descriptor, dataPoints }) => [
      descriptor.name,
      dataPoints.map(({ attributes, value }) => [attributes, value]),
    ])
  );
}

test("a flat histogram replaces the SDK's accumulation", () => {
  const histogram = new MeterProvider({ readers: [CUMULATIVE()] }).getMeter("test")
    .createHistogram("duration");
  const { _writableMetricStorage: storage } = histogram as unknown as {
    _writableMetricStorage: {
      _deltaMetricStorage: { _activeCollectionStorage: { get(labels: object): unknown } };
    };
  };
  const labels = { method: "A" };
  const beforeMs = Date.now();
  createSeries(histogram, labels).record(1, undefined);
  const accumulation = storage._deltaMetricStorage._activeCollectionStorage.get(labels);
  assert.ok(accumulation instanceof FlatHistogram);
  assert.ok(hrTimeToMilliseconds(accumulation.startTime) >= beforeMs);
});

const SEARCHED: Readonly<Record<string, NonNullable<MeterProviderOptions["views"]>>> = {
  "without views": [],
  "with a view that changes labels": [{
    instrumentName: "duration",
    attributesProcessors: [marked(({ method }) => ({ renamed: method }))],
  }],
};
for (const [what, views] of Object.entries(SEARCHED)) {
  test(`only the first value after a collection searches the SDK's storage, ${what}`, async () => {
    const reader = CUMULATIVE();
    const histogram = new MeterProvider({ readers: [reader], views }).getMeter("test")
      .createHistogram("duration");
    const storage = (histogram as unknown as {
      _writableMetricStorage: { record(...args: unknown[]): void };
    })._writableMetricStorage;
    let searches = 0;
    const { record } = storage;
    storage.record = function (...args) {
      searches++;
      record.apply(this, args);
    };
    const series = createSeries(histogram, { method: "A" });
    for (let i = 0; i < 100; i++) series.record(i, undefined);
    assert.equal(searches, 1);
    await reader.collect();
    for (let i = 0; i < 100; i++) series.record(i, undefined);
    assert.equal(searches, 2);
  });
}

test("the SDK before 2.9, which takes other times, has the start of a series and of the overflow", async () => {
  const reader = new ManualReader(undefined, 2);
  const histogram = new MeterProvider({ readers: [reader] }).getMeter("test")
    .createHistogram("duration");
  const { _writableMetricStorage: storage } = histogram as unknown as {
    _writableMetricStorage: {
      _deltaMetricStorage: {
        _aggregator: { createAccumulation(start: unknown): { startTime: unknown } };
      };
    };
  };
  const aggregator = storage._deltaMetricStorage._aggregator;
  const { createAccumulation } = aggregator;
  let now: number | undefined;
  // These versions use the time that a value is recorded with as it is.
  aggregator.createAccumulation = (start) => createAccumulation.call(aggregator, now ?? start);
  const beforeMs = now = Date.now();
  for (const method of ["A", "B"]) createSeries(histogram, { method }).record(1, undefined);
  now = undefined;
  const { resourceMetrics } = await reader.collect();
  const { dataPoints } = resourceMetrics.scopeMetrics[0]!.metrics[0]!;
  assert.equal(dataPoints.length, 2);
  for (const { startTime } of dataPoints) assert.equal(hrTimeToMilliseconds(startTime), beforeMs);
});

test("a view that leaves labels as they are is recognised in a minified program", () => {
  const histogram = new MeterProvider({ readers: [CUMULATIVE()] }).getMeter("test")
    .createHistogram("duration");
  const storage = (histogram as unknown as {
    _writableMetricStorage: { _attributesProcessor: object };
  })._writableMetricStorage;
  // deno-fmt-ignore
  storage._attributesProcessor = new class n{process(e:object,_t:unknown){return e}}();
  assert.ok(!readsContext(histogram));
  storage._attributesProcessor = new class n {
    process = (labels: object) => ({ ...labels, more: 1 });
  }();
  assert.ok(readsContext(histogram));
});

test("only views that may take labels from the context read it", () => {
  const renaming = { process: (labels: Attributes) => ({ renamed: labels["method"] }) };
  const ignoring = marked(renaming.process);
  const allowing = createAllowListAttributesProcessor(["method"]);
  const denying = createDenyListAttributesProcessor(["status"]);
  const cases = [
    [[], false],
    [[allowing], false],
    [[denying, allowing, ignoring], false],
    [[renaming], true],
    [[ignoring, renaming], true],
  ] as const;
  for (const [processors, expected] of cases) {
    const views = [{ instrumentName: "duration", attributesProcessors: [...processors] }];
    const provider = new MeterProvider({ readers: [CUMULATIVE()], views });
    assert.equal(readsContext(provider.getMeter("test").createHistogram("duration")), expected);
  }
});

test("values of another SDK and of a view that changes labels go through the instrument", () => {
  const calls: unknown[][] = [];
  const note = (...args: unknown[]) => void calls.push(args);
  const foreign = { record: note } as unknown as Histogram;
  const labels = { method: "A" };
  createSeries(foreign, labels).record(1, undefined);
  createSeries({ add: note } as unknown as Counter, labels).record(1, undefined);

  const processor = { process: (given: Attributes) => given };
  const provider: Provider = new MeterProvider({
    readers: [CUMULATIVE()],
    views: [{ instrumentName: "viewed", attributesProcessors: [processor] }],
  });
  for (const name of ["viewed", "plain"]) {
    const histogram = provider.getMeter("test").createHistogram(name);
    histogram.record = note;
    createSeries(histogram, labels).record(name.length, ROOT_CONTEXT);
  }
  assert.deepEqual(calls, [
    [1, labels, undefined],
    [1, labels, undefined],
    ["viewed".length, labels, ROOT_CONTEXT],
  ]);
});

test("an exponential histogram is searched for once in a collection", async () => {
  const reader = CUMULATIVE();
  const histogram = new MeterProvider({
    readers: [reader],
    views: [{
      instrumentName: "duration",
      aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM },
    }],
  }).getMeter("test").createHistogram("duration");
  const storage = (histogram as unknown as {
    _writableMetricStorage: { record(...args: unknown[]): void };
  })._writableMetricStorage;
  let searches = 0;
  const { record } = storage;
  storage.record = function (...args) {
    searches++;
    record.apply(this, args);
  };
  const series = createSeries(histogram, { method: "A" });
  for (const expected of [1, 2]) {
    for (let i = 0; i < 100; i++) series.record(i, undefined);
    assert.equal(searches, expected);
    await reader.collect();
  }
});
