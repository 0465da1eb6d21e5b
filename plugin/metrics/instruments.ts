import { createNoopMeter } from "@opentelemetry/api";
import type { Counter, Histogram, Meter, UpDownCounter } from "@opentelemetry/api";
import { limited } from "./cardinality.ts";
import type { StreamHistograms } from "./stream-metrics.ts";
import { METRIC_NAMES, METRICS } from "./definitions.ts";
import type { MetricDefinition, MetricName } from "./definitions.ts";
import { shielded } from "../warning.ts";

/** The instruments that the plugin records to; one that is switched off records nowhere. */
export interface Instruments {
  readonly client: ClientInstruments;
  readonly server: ServerInstruments;
  /** Undefined when none of them is switched on. */
  readonly subchannel: SubchannelInstruments | undefined;
}

/** The instruments of calls on a channel (gRFC A66). */
export interface ClientInstruments {
  readonly attemptStarted: Counter;
  readonly attempt: StreamHistograms;
  readonly callDuration: Histogram;
  /** Undefined when none of them is switched on. */
  readonly retries: RetryInstruments | undefined;
}

/** The instruments of a call's further attempts (gRFC A96). */
export interface RetryInstruments {
  readonly retries: Histogram;
  readonly transparentRetries: Histogram;
  readonly hedges: Histogram;
  readonly retryDelay: Histogram;
}

/** The instruments of calls on a server (gRFC A66). */
export interface ServerInstruments {
  readonly callStarted: Counter;
  readonly call: StreamHistograms;
}

/** The instruments of a channel's connections (gRFC A94). */
export interface SubchannelInstruments {
  readonly disconnections: Counter;
  readonly connectionAttemptsSucceeded: Counter;
  readonly connectionAttemptsFailed: Counter;
  readonly openConnections: UpDownCounter;
}

const RETRY_METRICS = [
  "grpc.client.call.retries",
  "grpc.client.call.transparent_retries",
  "grpc.client.call.hedges",
  "grpc.client.call.retry_delay",
] as const satisfies MetricName[];
const SUBCHANNEL_METRICS = METRIC_NAMES.filter((name) => name.startsWith("grpc.subchannel."));

/**
 * Creates on `meter` the instruments that `selected` names; the others are no-ops, and so is one that
 * the meter fails to create.
 *
 * @param meter Without one, all are no-ops.
 */
export function createInstruments(
  meter: Meter | undefined,
  selected: ReadonlySet<MetricName>,
): Instruments {
  const noop = createNoopMeter();

  function meterFor(name: MetricName): Meter {
    return meter !== undefined && selected.has(name) ? meter : noop;
  }

  function create<T extends object>(name: MetricName, on: (meter: Meter) => T): T {
    const meter = meterFor(name);
    // A no-op has no series, and is one object for all.
    if (meter === noop) return on(noop);
    return shielded(() => limited(on(meter), name, meter)) ?? on(noop);
  }

  function counter(name: MetricName): Counter {
    const { unit, description } = METRICS[name];
    return create(name, (meter) => meter.createCounter(name, { unit, description }));
  }

  function upDownCounter(name: MetricName): UpDownCounter {
    const { unit, description } = METRICS[name];
    return create(name, (meter) => meter.createUpDownCounter(name, { unit, description }));
  }

  function histogram(name: MetricName): Histogram {
    const { unit, description, bounds = [] }: MetricDefinition = METRICS[name];
    const advice = { explicitBucketBoundaries: [...bounds] };
    return create(name, (meter) => meter.createHistogram(name, { unit, description, advice }));
  }

  function isOn(name: MetricName): boolean {
    return meterFor(name) !== noop;
  }

  return {
    client: {
      attemptStarted: counter("grpc.client.attempt.started"),
      attempt: {
        duration: histogram("grpc.client.attempt.duration"),
        sent: histogram(
          "grpc.client.attempt.sent_total_compressed_message_size",
        ),
        received: histogram(
          "grpc.client.attempt.rcvd_total_compressed_message_size",
        ),
      },
      callDuration: histogram("grpc.client.call.duration"),
      retries: RETRY_METRICS.some(isOn)
        ? {
          retries: histogram("grpc.client.call.retries"),
          transparentRetries: histogram("grpc.client.call.transparent_retries"),
          hedges: histogram("grpc.client.call.hedges"),
          retryDelay: histogram("grpc.client.call.retry_delay"),
        }
        : undefined,
    },
    server: {
      callStarted: counter("grpc.server.call.started"),
      call: {
        duration: histogram("grpc.server.call.duration"),
        sent: histogram("grpc.server.call.sent_total_compressed_message_size"),
        received: histogram(
          "grpc.server.call.rcvd_total_compressed_message_size",
        ),
      },
    },
    subchannel: SUBCHANNEL_METRICS.some(isOn)
      ? {
        disconnections: counter("grpc.subchannel.disconnections"),
        connectionAttemptsSucceeded: counter(
          "grpc.subchannel.connection_attempts_succeeded",
        ),
        connectionAttemptsFailed: counter(
          "grpc.subchannel.connection_attempts_failed",
        ),
        openConnections: upDownCounter("grpc.subchannel.open_connections"),
      }
      : undefined,
  };
}
