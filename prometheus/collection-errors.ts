import type { MetricProducer } from "@opentelemetry/sdk-metrics";
import { thrownText } from "../log/thrown-text.ts";

/**
 * Makes errors of what callbacks throw. The SDK's readers look at the first error's name, and fail
 * with all metrics when a callback throws `undefined`.
 *
 * @param producer what a reader collects from
 */
export function withCollectionErrors(producer: MetricProducer): MetricProducer {
  return {
    async collect(options) {
      const { resourceMetrics, errors } = await producer.collect(options);
      return { resourceMetrics, errors: errors.map((thrown) => new Error(thrownText(thrown))) };
    },
  };
}
