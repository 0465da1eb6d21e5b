/**
 * Counts how often the SDK searches for the state of a set of labels. The plugin keeps the state, so
 * that there is one search for each series and reader, not for each value.
 */
const CREATORS = ["createCounter", "createHistogram"];

/** Returns a provider to give to the plugin, and the number of searches so far. */
export function countSearches(meterProvider) {
  let searches = 0;
  function count(instrument) {
    const storage = instrument._writableMetricStorage;
    for (const counted of storage._backingStorages ?? [storage]) {
      const record = counted.record.bind(counted);
      counted.record = (...args) => {
        searches += 1;
        record(...args);
      };
    }
    return instrument;
  }
  const counting = {
    getMeter(...args) {
      const meter = meterProvider.getMeter(...args);
      for (const name of CREATORS) {
        const create = meter[name].bind(meter);
        meter[name] = (...args) => count(create(...args));
      }
      return meter;
    },
  };
  return { meterProvider: counting, searches: () => searches };
}
