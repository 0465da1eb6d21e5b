/**
 * The boundary to the OpenTelemetry SDK: the only file that knows the private shape of its storages.
 *
 * An instrument finds the state of a label set by the text of all its labels, which it makes anew for
 * every value. That is most of what recording costs. Here the state is kept from one value to the
 * next. It is the SDK's own: readers, views, temporality and limits of cardinality stay what they
 * are, because whatever is new to the SDK goes through its own methods first.
 */
import type { Attributes } from "@opentelemetry/api";

/** What values of one label set were added up to since the last collection. */
interface Accumulation {
  record(value: number): void;
}

/** The label sets that had values since the last collection. */
interface AccumulationMap {
  get(attributes: Attributes): Accumulation | undefined;
}

/** `SyncMetricStorage`: the state of one instrument for one reader, or for one view. */
interface MetricStorage {
  /** `DeltaMetricProcessor`: at each collection it begins a new map. */
  readonly _deltaMetricStorage: {
    readonly _activeCollectionStorage: AccumulationMap;
  };
  readonly _attributesProcessor?: unknown;
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
    // A view that changes labels: what a label set becomes may depend on the context.
    storage._attributesProcessor === undefined;
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

/** One label set in one storage. */
class Cell {
  readonly #storage: MetricStorage;
  readonly #attributes: Attributes;
  #map: AccumulationMap | undefined;
  #accumulation: Accumulation | undefined;

  constructor(storage: MetricStorage, attributes: Attributes) {
    this.#storage = storage;
    this.#attributes = attributes;
  }

  record(value: number): void {
    const map = this.#storage._deltaMetricStorage._activeCollectionStorage;
    if (map === this.#map && this.#accumulation !== undefined) {
      this.#accumulation.record(value);
      return;
    }
    this.#storage.record(value, this.#attributes, undefined, Date.now());
    this.#map = map;
    // There is none if the storage is full: it has joined the value with others.
    this.#accumulation = map.get(this.#attributes);
  }
}

/**
 * The state of one label set of an instrument, one for each reader or view.
 *
 * @returns undefined where values have to go through the instrument.
 */
export function cellsOf(
  instrument: object,
  attributes: Attributes,
): readonly Cell[] | undefined {
  return storagesOf(instrument)?.map((storage) => new Cell(storage, attributes));
}
