import type { Attributes, Counter, ObservableResult } from "@opentelemetry/api";
import { withinLimit } from "../metrics/cardinality.ts";
import { startsToCount } from "../metrics/counted-once.ts";
import type { XdsClientInstruments } from "../metrics/instruments.ts";
import { recordValue } from "../metrics/series.ts";
import { shielded } from "../warning.ts";

/** The values of the label `grpc.xds.cache_state` (gRFC A78, A88) that a JavaScript client can have. */
export type CacheState =
  | "requested"
  | "does_not_exist"
  | "does_not_exist_but_cached"
  | "acked"
  | "nacked"
  | "nacked_but_cached";

/** How many resources of a type are in a state. */
export interface ResourceCount {
  /** The label `grpc.xds.authority`. */
  readonly authority: string;
  /** The label `grpc.xds.resource_type`, such as `envoy.config.listener.v3.Listener`. */
  readonly type: string;
  readonly cacheState: CacheState;
  readonly count: number;
}

/** Records one control plane of an xDS client. */
export interface ServerRecorder {
  /** Called when a stream to the control plane is created. */
  streamStarted(): void;
  /** Called for each response on a stream. */
  responded(): void;
  /** Called when the connection fails, or when a stream ends without a response (gRFC A57). */
  failed(): void;
  /** Called with the numbers of resources in a response. */
  received(type: string, valid: number, invalid: number): void;
}

/** What the plugin needs to know of an xDS client. */
export interface XdsClientView {
  /** The label `grpc.target`: that of the first channel, or `#server`. */
  readonly target: string;
  /** Returns whether what happens now is recorded. */
  readonly isOn: () => boolean;
  /** Returns the numbers of resources that are watched. */
  readonly resources: () => readonly ResourceCount[];
}

/**
 * Records xDS clients (gRFC A78) for one plugin. A process has one xDS client for all channels and
 * servers, so each metric records it for the first plugin that turns it on, with the target of the first
 * channel that is recorded.
 */
export class XdsMetrics {
  readonly #instruments: XdsClientInstruments;
  /** Must not keep clients alive: the meter keeps what observes them until it is shut down. */
  readonly #clients = new Set<WeakRef<XdsClientRecorder>>();

  constructor(instruments: XdsClientInstruments) {
    this.#instruments = instruments;
    this.#observe("connected", (client, result) => client.observeConnected(result));
    this.#observe("resources", (client, result) => client.observeResources(result));
  }

  /**
   * Returns what records an xDS client. Must be kept as long as the client.
   *
   * @returns Undefined if all metrics record the client already.
   */
  recorderFor(xdsClient: object, view: XdsClientView): XdsClientRecorder | undefined {
    const entries = Object.entries(this.#instruments)
      .filter(([, instrument]) => startsToCount(instrument, xdsClient));
    if (entries.length === 0) return undefined;
    const recorder = new XdsClientRecorder(Object.fromEntries(entries), view);
    this.#clients.add(new WeakRef(recorder));
    return recorder;
  }

  #observe(
    name: "connected" | "resources",
    observe: (client: XdsClientRecorder, result: ObservableResult) => void,
  ): void {
    this.#instruments[name].addCallback((result) => {
      for (const reference of this.#clients) {
        const client = reference.deref();
        if (client === undefined) this.#clients.delete(reference);
        else shielded(() => observe(client, result));
      }
    });
  }
}

/** Records one xDS client in the metrics that count it for this plugin. */
export class XdsClientRecorder {
  readonly #instruments: Partial<XdsClientInstruments>;
  readonly #view: XdsClientView;
  readonly #servers: XdsServer[] = [];
  /** The labels of all counts of resources, because the SDK repeats the last value of each series. */
  readonly #seen = new Map<string, Attributes>();

  constructor(instruments: Partial<XdsClientInstruments>, view: XdsClientView) {
    this.#instruments = instruments;
    this.#view = view;
  }

  /**
   * Returns what records one of its control planes.
   *
   * @param uri The label `grpc.xds.server`.
   * @param isUsed Returns whether resources of that control plane are watched.
   */
  server(uri: string, isUsed: () => boolean): ServerRecorder {
    const { isOn, target } = this.#view;
    const { serverFailure, updatesValid, updatesInvalid } = this.#instruments;
    const attributes = { "grpc.target": target, "grpc.xds.server": uri };
    const server: XdsServer = { attributes, isUsed, isConnected: undefined };
    this.#servers.push(server);
    return {
      streamStarted: () => server.isConnected ??= true,
      responded: () => server.isConnected = true,
      failed: () => {
        const wasHealthy = server.isConnected !== false;
        server.isConnected = false;
        if (wasHealthy && isOn()) add(serverFailure, 1, attributes);
      },
      received: (type, valid, invalid) => {
        if (!isOn()) return;
        const ofType = { ...attributes, "grpc.xds.resource_type": type };
        if (valid > 0) add(updatesValid, valid, ofType);
        if (invalid > 0) add(updatesInvalid, invalid, ofType);
      },
    };
  }

  observeConnected(result: ObservableResult): void {
    const { connected } = this.#instruments;
    if (connected === undefined || !this.#view.isOn()) return;
    for (const { attributes, isUsed, isConnected } of this.#servers) {
      if (isConnected === undefined || !isUsed()) continue;
      result.observe(Number(isConnected), withinLimit(connected, attributes));
    }
  }

  observeResources(result: ObservableResult): void {
    const { resources } = this.#instruments;
    if (resources === undefined || !this.#view.isOn()) return;
    const counts = new Map([...this.#seen.keys()].map((labels) => [labels, 0]));
    for (const { authority, type, cacheState, count } of this.#view.resources()) {
      const attributes = {
        "grpc.target": this.#view.target,
        "grpc.xds.authority": authority,
        "grpc.xds.cache_state": cacheState,
        "grpc.xds.resource_type": type,
      };
      const labels = JSON.stringify(attributes);
      this.#seen.set(labels, attributes);
      counts.set(labels, count);
    }
    for (const [labels, attributes] of this.#seen) {
      result.observe(counts.get(labels)!, withinLimit(resources, attributes));
    }
  }
}

/** A control plane. */
interface XdsServer {
  readonly attributes: Attributes;
  readonly isUsed: () => boolean;
  /** Undefined until the first stream. */
  isConnected: boolean | undefined;
}

function add(counter: Counter | undefined, value: number, attributes: Attributes): void {
  if (counter !== undefined) recordValue(counter, value, withinLimit(counter, attributes));
}
