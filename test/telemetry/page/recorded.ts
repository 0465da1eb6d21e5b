import type { Meter } from "@opentelemetry/api";
import { type MetricDefinition, METRICS } from "../../../plugin/metrics/definitions.ts";

/** Records calls of a server as the plugin does, with any names and statuses. */
export class RecordedCalls {
  readonly #started;
  readonly #ended;

  constructor(meter: Meter) {
    const { started, duration, sent, received } = METRICS.serverCall;
    this.#started = meter.createCounter(started.name, { unit: started.unit });
    this.#ended = [duration, sent, received].map((definition: MetricDefinition) =>
      meter.createHistogram(definition.name, {
        unit: definition.unit,
        advice: { explicitBucketBoundaries: [...definition.bounds!] },
      })
    );
  }

  start(method: string): void {
    this.#started.add(1, { "grpc.method": method });
  }

  /** Ends a call that took 15 ms and had 100 bytes in each direction. */
  end(method: string, status = "OK"): void {
    const labels = { "grpc.method": method, "grpc.status": status };
    for (const [index, value] of [0.015, 100, 100].entries()) {
      this.#ended[index]!.record(value, labels);
    }
  }

  /** Records a whole call. */
  record(method: string, status?: string): void {
    this.start(method);
    this.end(method, status);
  }
}
