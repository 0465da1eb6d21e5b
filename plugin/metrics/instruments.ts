import { createNoopMeter } from "@opentelemetry/api";
import type {
  Attributes,
  Counter,
  Histogram,
  Meter,
  ObservableGauge,
  UpDownCounter,
} from "@opentelemetry/api";
import { shielded, warnOnce } from "../warning.ts";
import { limited } from "./cardinality.ts";
import { METRICS } from "./definitions.ts";
import type { MetricDefinition } from "./definitions.ts";
import { readsContext } from "./sdk-storage.ts";

interface InstrumentOfKind {
  readonly counter: Counter;
  readonly upDownCounter: UpDownCounter;
  readonly histogram: Histogram;
  /** Read when metrics are collected. */
  readonly gauge: ObservableGauge;
}

type Instrument = InstrumentOfKind[keyof InstrumentOfKind];

/** An instrument for each metric of a group in {@link METRICS}. */
type InstrumentsOf<Group extends Readonly<Record<string, MetricDefinition>>> = {
  readonly [Field in keyof Group]: InstrumentOfKind[Group[Field]["kind"]];
};

/** Counts a call's retries and hedges (gRFC A96). */
export type RetryInstruments = InstrumentsOf<typeof METRICS.clientRetries>;

/** Counts a channel's connections (gRFC A94). */
export type SubchannelInstruments = InstrumentsOf<typeof METRICS.subchannel>;

/** Counts TLS handshakes (gRFC A118). */
export type HandshakeInstruments = InstrumentsOf<typeof METRICS.clientHandshakes>;

/** Counts TCP connections (gRFC A80). */
export type TcpInstruments = InstrumentsOf<typeof METRICS.tcp>;
/** Measures what a call waits for (gRFC A121). */
export type CallDelayInstruments = InstrumentsOf<typeof METRICS.clientCallDelay>;

/** Measures what an attempt waits for (gRFC A121). */
export type AttemptDelayInstruments = InstrumentsOf<typeof METRICS.clientAttemptDelay>;

/** Measures the policy `weighted_round_robin` (gRFC A78). */
export type WeightedRoundRobinInstruments = InstrumentsOf<typeof METRICS.weightedRoundRobin>;

/** Counts the ejections of the policy `outlier_detection` (gRFC A91). */
export type OutlierDetectionInstruments = InstrumentsOf<typeof METRICS.outlierDetection>;

/** Measures xDS clients (gRFC A78). */
export type XdsClientInstruments = InstrumentsOf<typeof METRICS.xdsClient>;

/** The instruments of all metrics. The instrument of a metric that is off records nothing. */
export interface Instruments {
  readonly clientAttempt: InstrumentsOf<typeof METRICS.clientAttempt>;
  readonly clientCall: InstrumentsOf<typeof METRICS.clientCall>;
  readonly serverCall: InstrumentsOf<typeof METRICS.serverCall>;
  /** Undefined when all metrics of the group are off. */
  readonly clientRetries: RetryInstruments | undefined;
  /** Undefined when all metrics of the group are off. */
  readonly subchannel: SubchannelInstruments | undefined;
  /** Undefined when the metric is off. */
  readonly clientHandshakes: HandshakeInstruments | undefined;
  /** Undefined when the metric is off. */
  readonly serverHandshakes: HandshakeInstruments | undefined;
  /** Undefined when all metrics of the group are off. */
  readonly tcp: TcpInstruments | undefined;
  /** Undefined when the metric is off. */
  readonly clientCallDelay: CallDelayInstruments | undefined;
  /** Undefined when the metric is off. */
  readonly clientAttemptDelay: AttemptDelayInstruments | undefined;
  /** Undefined when all metrics of the group are off. */
  readonly weightedRoundRobin: WeightedRoundRobinInstruments | undefined;
  /** Undefined when all metrics of the group are off. */
  readonly outlierDetection: OutlierDetectionInstruments | undefined;
  /** Undefined when all metrics of the group are off. */
  readonly xdsClient: XdsClientInstruments | undefined;
  /** Whether values of some metrics may depend on the context that they are recorded with. */
  readonly readContext: boolean;
}

/**
 * Creates the instruments of all metrics in {@link METRICS}. A metric that is off, or whose
 * instrument `meter` fails to create, gets an instrument that records nothing.
 *
 * @param meter Turns all metrics off if undefined.
 * @param selected The names of the metrics that are on.
 * @param constant The labels that all series have in addition to their own.
 */
export function createInstruments(
  meter: Meter | undefined,
  selected: ReadonlySet<string>,
  constant?: Attributes,
): Instruments {
  const noop = createNoopMeter();
  if (meter !== undefined && shielded(() => isNoop(meter, noop))) {
    warnOnce(
      "gRPC metrics are not recorded, because the meterProvider is a no-op. Start the " +
        "OpenTelemetry SDK before metrics.getMeterProvider() is called",
    );
  }
  let readContext = false;

  function instrument(definition: MetricDefinition): Instrument {
    const { name } = definition;
    // The no-op instruments are shared by all metrics, so they must not have a series limit.
    if (meter === undefined || !selected.has(name)) return create(definition, noop);
    const created = shielded(() => limited(create(definition, meter), name, meter, constant));
    if (created === undefined) return create(definition, noop);
    readContext ||= definition.kind !== "gauge" && readsContext(created);
    return created;
  }

  function instruments<Group extends Readonly<Record<string, MetricDefinition>>>(
    group: Group,
  ): InstrumentsOf<Group> {
    return Object.fromEntries(
      Object.entries(group).map(([field, definition]) => [field, instrument(definition)]),
    ) as InstrumentsOf<Group>;
  }

  function isOn(group: Readonly<Record<string, MetricDefinition>>): boolean {
    return meter !== undefined && Object.values(group).some(({ name }) => selected.has(name));
  }

  const { clientRetries, subchannel, clientHandshakes, serverHandshakes, tcp } = METRICS;
  const { clientCallDelay, clientAttemptDelay } = METRICS;
  const { weightedRoundRobin, outlierDetection, xdsClient } = METRICS;
  return {
    clientAttempt: instruments(METRICS.clientAttempt),
    clientCall: instruments(METRICS.clientCall),
    clientRetries: isOn(clientRetries) ? instruments(clientRetries) : undefined,
    serverCall: instruments(METRICS.serverCall),
    subchannel: isOn(subchannel) ? instruments(subchannel) : undefined,
    clientHandshakes: isOn(clientHandshakes) ? instruments(clientHandshakes) : undefined,
    serverHandshakes: isOn(serverHandshakes) ? instruments(serverHandshakes) : undefined,
    tcp: isOn(tcp) ? instruments(tcp) : undefined,
    clientCallDelay: isOn(clientCallDelay) ? instruments(clientCallDelay) : undefined,
    clientAttemptDelay: isOn(clientAttemptDelay) ? instruments(clientAttemptDelay) : undefined,
    weightedRoundRobin: isOn(weightedRoundRobin) ? instruments(weightedRoundRobin) : undefined,
    outlierDetection: isOn(outlierDetection) ? instruments(outlierDetection) : undefined,
    xdsClient: isOn(xdsClient) ? instruments(xdsClient) : undefined,
    readContext,
  };
}

/** Returns whether a meter is the API's no-op. It may be of another copy of the API, or minified. */
function isNoop({ constructor }: Meter, noop: Meter): boolean {
  return constructor === noop.constructor || constructor?.name === "NoopMeter";
}

function create({ name, kind, unit, description, bounds }: MetricDefinition, meter: Meter) {
  switch (kind) {
    case "counter":
      return meter.createCounter(name, { unit, description });
    case "upDownCounter":
      return meter.createUpDownCounter(name, { unit, description });
    case "histogram": {
      const advice = bounds === undefined ? {} : { explicitBucketBoundaries: [...bounds] };
      return meter.createHistogram(name, { unit, description, advice });
    }
    case "gauge":
      return meter.createObservableGauge(name, { unit, description });
  }
}
