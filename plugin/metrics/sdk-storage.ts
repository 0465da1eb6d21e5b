/**
 * The boundary to the OpenTelemetry SDK. Only this file knows the private shape of its storages.
 *
 * For every value, an instrument of the SDK builds a text of all labels to find the state of the label
 * set, which is most of the cost of recording. A series in this file keeps the state from one value
 * to the next, and replaces the state of a histogram with a {@link FlatHistogram}. Readers, views,
 * temporality and cardinality limits work as before, because the first value after each collection
 * goes through the SDK's own methods.
 *
 * @module
 */
import type { Attributes, Context, Counter, Histogram } from "@opentelemetry/api";
import { OVERFLOW, withinLimit } from "./cardinality.ts";
import { FlatHistogram } from "./flat-histogram.ts";
import type { Accumulation } from "./flat-histogram.ts";
import { Series } from "./series.ts";
import { shielded, warnOfFailure } from "../warning.ts";

/** The state of the label sets that have values since the last collection. */
interface AccumulationMap {
  get(attributes: Attributes): Accumulation | undefined;
  set(attributes: Attributes, accumulation: Accumulation): void;
}

/** What changes the labels of a view. */
interface AttributesProcessor {
  process(attributes: Attributes): Attributes;
  /** Of the SDK's list of processors. */
  readonly _processors?: unknown;
  /** Of the SDK's processor that keeps some labels. */
  readonly _allowedAttributeNames?: unknown;
  /** Of the SDK's processor that removes some labels. */
  readonly _deniedAttributeNames?: unknown;
  readonly [IGNORES_CONTEXT]?: boolean;
}

/**
 * Marks a processor of labels that does the same in every context, so that calls need not keep theirs.
 * All copies of this package know the mark.
 */
export const IGNORES_CONTEXT: unique symbol = Symbol.for(
  "grpc-js-opentelemetry/ignoresContext",
);

/** The SDK's `SyncMetricStorage`: the state of an instrument for one reader or one view. */
interface MetricStorage {
  /** The SDK's `DeltaMetricProcessor`, which starts a new map at each collection. */
  readonly _deltaMetricStorage: {
    readonly _activeCollectionStorage: AccumulationMap;
  };
  readonly _attributesProcessor?: AttributesProcessor;
  record(
    value: number,
    attributes: Attributes,
    context: undefined,
    timeMs: number,
  ): void;
}

function isMetricStorage(value: unknown): value is MetricStorage {
  const storage = value as Partial<MetricStorage> | null | undefined;
  const map = storage?._deltaMetricStorage?._activeCollectionStorage;
  return typeof storage?.record === "function" &&
    typeof map?.get === "function" &&
    typeof map.set === "function" &&
    (storage._attributesProcessor === undefined || ignoresContext(storage._attributesProcessor));
}

/** Matches the source of a method that returns its first parameter, minified or not. */
const IDENTITY = /^process\s*\(\s*(\w+)\s*(?:,\s*\w+\s*)?\)\s*\{\s*return\s+\1\s*;?\s*\}$/;

/**
 * Returns whether what a view does with labels is the same in every context. In SDK 2, a view that
 * does not change labels has a `NoopAttributesProcessor`, which the SDK does not export and whose name
 * a minifier changes.
 */
function ignoresContext(processor: AttributesProcessor): boolean {
  const { process, _processors, _allowedAttributeNames, _deniedAttributeNames } = processor;
  if (Array.isArray(_processors)) return _processors.every(ignoresContext);
  return processor[IGNORES_CONTEXT] === true ||
    _allowedAttributeNames instanceof Set || _deniedAttributeNames instanceof Set ||
    processor.constructor?.name === "NoopAttributesProcessor" ||
    (typeof process === "function" && IDENTITY.test(`${process}`));
}

/**
 * Returns the storages of an instrument of the SDK. Returns undefined for an instrument of another
 * SDK or version, and if a view may take labels from the context.
 */
function storagesOf(instrument: object): readonly MetricStorage[] | undefined {
  const storage: unknown = "_writableMetricStorage" in instrument
    ? instrument._writableMetricStorage
    : undefined;
  if (isMetricStorage(storage)) return [storage];
  const several = (storage as { _backingStorages?: unknown } | undefined)
    ?._backingStorages;
  return Array.isArray(several) && several.every(isMetricStorage) ? several : undefined;
}

/** Corrects a start that SDK 2.0 to 2.8 took over as it is: they expect seconds and nanoseconds. */
function correctStart(accumulation: Accumulation | undefined): void {
  const start: unknown = accumulation?.startTime;
  if (typeof start !== "number") return;
  accumulation?.setStartTime([Math.trunc(start / 1000), (start % 1000) * 1e6]);
}

/** A series in one storage of the SDK, and in the storages after it. */
class StoredSeries extends Series {
  readonly #storage: MetricStorage;
  /** The labels that the storage's view makes of those that are recorded. */
  readonly #stored: Attributes;
  /** The series with the same labels in the next storage. */
  readonly #next: StoredSeries | undefined;
  #map: AccumulationMap | undefined;
  #accumulation: Accumulation | undefined;

  constructor(
    instrument: Histogram | Counter,
    attributes: Attributes,
    storage: MetricStorage,
    next: StoredSeries | undefined,
  ) {
    super(instrument, attributes);
    this.#storage = storage;
    this.#stored = storage._attributesProcessor?.process(attributes) ?? attributes;
    this.#next = next;
  }

  /** The SDK reads the context only for views that do, and this instrument has none of them. */
  override record(value: number, _context?: Context): void {
    try {
      const map = this.#storage._deltaMetricStorage._activeCollectionStorage;
      if (map === this.#map && this.#accumulation !== undefined) this.#accumulation.record(value);
      else this.#recordFirst(value, map);
    } catch (error) {
      warnOfFailure(error);
    }
    this.#next?.record(value);
  }

  #recordFirst(value: number, map: AccumulationMap): void {
    const known = map.get(this.#stored);
    this.#storage.record(value, this.attributes, undefined, Date.now());
    correctStart(map.get(this.#stored) ?? map.get(OVERFLOW));
    this.#map = map;
    // Another series may already hold the known accumulation, so it must stay in the map.
    this.#accumulation = known ?? this.#flatten(map);
  }

  /** @returns Undefined if the storage is full and has recorded the value in its overflow series. */
  #flatten(map: AccumulationMap): Accumulation | undefined {
    const accumulation = map.get(this.#stored);
    const flat = accumulation && FlatHistogram.of(accumulation);
    if (flat === undefined) return accumulation;
    map.set(this.#stored, flat);
    return flat;
  }
}

/**
 * Returns whether values of an instrument may depend on the context that they are recorded with: if a
 * view may take labels from it, or if the instrument is of another SDK.
 */
export function readsContext(instrument: object): boolean {
  return shielded(() => storagesOf(instrument)) === undefined;
}

/**
 * Creates the series of an instrument with the given labels, or with those of the overflow series if
 * the instrument is at its limit. With an instrument of the SDK, the series keeps its state in each
 * storage instead of searching for it. There is one storage for each reader or view.
 */
export function createSeries(instrument: Histogram | Counter, attributes: Attributes): Series {
  const limited = withinLimit(instrument, attributes);
  const stored = shielded(() => storagesOf(instrument))?.reduceRight(
    (next: StoredSeries | undefined, storage) =>
      new StoredSeries(instrument, limited, storage, next),
    undefined,
  );
  return stored ?? new Series(instrument, limited);
}
