/**
 * The boundary to the OpenTelemetry SDK: the only file that knows the private shape of its storages.
 *
 * An instrument finds the state of a label set by the text of all its labels, which it makes anew for
 * every value. That is most of what recording costs. Here the state is kept from one value to the
 * next, and that of a histogram takes the place of the SDK's. Readers, views, temporality and limits of
 * cardinality stay what they are, because whatever is new to the SDK goes through its own methods
 * first.
 */
import type { Attributes, Context, Counter, Histogram } from "@opentelemetry/api";
import { withinLimit } from "./cardinality.ts";
import { FlatHistogram } from "./flat-histogram.ts";
import type { Accumulation } from "./flat-histogram.ts";
import { Series } from "./series.ts";
import { shielded, warnOfFailure } from "../warning.ts";

/** The label sets that had values since the last collection. */
interface AccumulationMap {
  get(attributes: Attributes): Accumulation | undefined;
  set(attributes: Attributes, accumulation: Accumulation): void;
}

/** `SyncMetricStorage`: the state of one instrument for one reader, or for one view. */
interface MetricStorage {
  /** `DeltaMetricProcessor`: at each collection it begins a new map. */
  readonly _deltaMetricStorage: {
    readonly _activeCollectionStorage: AccumulationMap;
  };
  readonly _attributesProcessor?: object;
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
    keepsLabels(storage._attributesProcessor);
}

/**
 * Whether a storage takes labels as they come. What they become otherwise may depend on the context.
 * A view that says nothing of labels has the SDK's `NoopAttributesProcessor`, which is not exported.
 */
function keepsLabels(processor: object | undefined): boolean {
  return processor === undefined || processor.constructor?.name === "NoopAttributesProcessor";
}

/**
 * The storages behind an instrument of the SDK; undefined for an instrument of another kind or
 * version, and for one whose labels a view changes.
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

/** A series in one of the SDK's storages, and in those that follow. */
class StoredSeries extends Series {
  readonly #storage: MetricStorage;
  /** The same label set in the next storage. */
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
    this.#next = next;
  }

  override record(value: number, context: Context | undefined): void {
    if (context !== undefined) return super.record(value, context);
    try {
      const map = this.#storage._deltaMetricStorage._activeCollectionStorage;
      if (map === this.#map && this.#accumulation !== undefined) this.#accumulation.record(value);
      else this.#recordFirst(value, map);
    } catch (error) {
      warnOfFailure(error);
    }
    this.#next?.record(value, undefined);
  }

  #recordFirst(value: number, map: AccumulationMap): void {
    const known = map.get(this.attributes);
    this.#storage.record(value, this.attributes, undefined, Date.now());
    this.#map = map;
    // Others may have kept one that was there before, and would go on with it.
    this.#accumulation = known ?? this.#flatten(map);
  }

  /** @returns undefined if the storage is full: it has joined the value with others. */
  #flatten(map: AccumulationMap): Accumulation | undefined {
    const accumulation = map.get(this.attributes);
    const flat = accumulation && FlatHistogram.of(accumulation);
    if (flat === undefined) return accumulation;
    map.set(this.attributes, flat);
    return flat;
  }
}

/**
 * Makes the series of an instrument with some labels, or with those of the overflow if it has too
 * many. With an instrument of the SDK it need not search for its state each time, in any of the
 * storages: there is one for each reader or view.
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
