import type { MetricProducer } from "@opentelemetry/sdk-metrics";
import { thrownText } from "../log/thrown-text.ts";

/**
 * Wraps a metric producer so that all its collection errors are `Error` objects, whatever a callback
 * threw. Works around the SDK's readers, which read the name of the first error: if a callback throws
 * `undefined`, they fail and all metrics are lost.
 *
 * @param producer the producer that a reader collects from
 */
export function withCollectionErrors(producer: MetricProducer): MetricProducer {
  return {
    async collect(options) {
      const { resourceMetrics, errors } = await producer.collect(options);
      return { resourceMetrics, errors: errors.map((thrown) => new Error(thrownText(thrown))) };
    },
  };
}
