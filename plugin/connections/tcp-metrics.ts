import type { Attributes, Context, Counter, UpDownCounter } from "@opentelemetry/api";
import { withinLimit } from "../metrics/cardinality.ts";
import { startsToCount } from "../metrics/counted-once.ts";
import type { TcpInstruments } from "../metrics/instruments.ts";
import type { OptionalLabel } from "../metrics/labels.ts";
import { recordValue } from "../metrics/series.ts";

/** The labels of a connection's two ends, all of them optional (gRFC A80). */
export interface Endpoints {
  readonly "network.local.address": string;
  readonly "network.local.port": string;
  readonly "network.peer.address": string;
  readonly "network.peer.port": string;
}

const NAMES = [
  "network.local.address",
  "network.local.port",
  "network.peer.address",
  "network.peer.port",
] as const satisfies readonly (keyof Endpoints & OptionalLabel)[];

/** Records the TCP connections of a channel or server (gRFC A80). */
export class TcpMetrics {
  readonly #instruments: TcpInstruments;
  readonly #labels: readonly (keyof Endpoints)[];
  readonly #isOn: () => boolean;

  /** @param isOn Returns whether connections that begin are recorded. */
  constructor(
    instruments: TcpInstruments,
    optionalLabels: ReadonlySet<OptionalLabel>,
    isOn: () => boolean,
  ) {
    this.#instruments = instruments;
    this.#labels = NAMES.filter((name) => optionalLabels.has(name));
    this.#isOn = isOn;
  }

  /**
   * Returns what records the connections of a source. Each metric records a source for the first
   * plugin that turns the metric on, with the labels of that plugin.
   *
   * @returns Undefined if all metrics count the source already, or if nothing is recorded.
   */
  recorderFor(source: object): TcpRecorder | undefined {
    if (!this.#isOn()) return undefined;
    const { connectionsCreated, connectionCount } = this.#instruments;
    const created = startsToCount(connectionsCreated, source) ? connectionsCreated : undefined;
    const open = startsToCount(connectionCount, source) ? connectionCount : undefined;
    if (created === undefined && open === undefined) return undefined;
    return new TcpRecorder(created, open, this.#labels, this.#isOn);
  }
}

/** Records the connections of one source. */
export class TcpRecorder {
  readonly #created: Counter | undefined;
  readonly #open: UpDownCounter | undefined;
  readonly #labels: readonly (keyof Endpoints)[];
  readonly #isOn: () => boolean;

  constructor(
    created: Counter | undefined,
    open: UpDownCounter | undefined,
    labels: readonly (keyof Endpoints)[],
    isOn: () => boolean,
  ) {
    this.#created = created;
    this.#open = open;
    this.#labels = labels;
    this.#isOn = isOn;
  }

  /**
   * Called when a connection opens, and for a connection that is older than the recorder. Both count
   * as created, so that the open ones are always those created less those closed.
   *
   * @param context The context of the call that the connection was opened for.
   * @returns A function to call when the connection closes. Undefined if that is not recorded.
   */
  opened(endpoints: Endpoints, context: Context): (() => void) | undefined {
    if (!this.#isOn()) return undefined;
    const attributes: Attributes = Object.fromEntries(
      this.#labels.map((label) => [label, endpoints[label]]),
    );
    const [created, open] = [this.#created, this.#open];
    if (created !== undefined) {
      recordValue(created, 1, withinLimit(created, attributes), context);
    }
    if (open === undefined) return undefined;
    // The end has the labels of the beginning, also if they are those of the overflow series.
    const counted = withinLimit(open, attributes);
    recordValue(open, 1, counted, context);
    return () => recordValue(open, -1, counted, context);
  }
}
