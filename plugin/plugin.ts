import { Channel } from "@grpc/grpc-js";
import type { ChannelInterface, ClientOptions, Server } from "@grpc/grpc-js";
import grpcJs from "@grpc/grpc-js/package.json" with { type: "json" };
import type { MeterProvider, TextMapPropagator, TracerProvider } from "@opentelemetry/api";
import { filteredLabel } from "./metrics/attribute-filter.ts";
import { ClientTelemetry } from "./client/call.ts";
import { hookChannel } from "./client/hooks.ts";
import { ClientTracer } from "./client/spans.ts";
import { readingCallOptions } from "./client/custom-label.ts";
import { createInstruments } from "./metrics/instruments.ts";
import type { Instruments } from "./metrics/instruments.ts";
import { selectMetrics } from "./metrics/definitions.ts";
import { selectOptionalLabels } from "./metrics/labels.ts";
import type { OptionalLabel } from "./metrics/labels.ts";
import { Propagation } from "./tracing/propagation.ts";
import { ServerTelemetry } from "./server/call.ts";
import { hookServer } from "./server/hooks.ts";
import { ServerTracer } from "./server/spans.ts";
import { hookSubchannels } from "./client/subchannel-hooks.ts";
import { SubchannelMetrics } from "./client/subchannel-metrics.ts";
import { canonicalTarget } from "./client/target.ts";
import { shielded, warnOfSpanFailure } from "./warning.ts";

/** Options of {@link GrpcOpenTelemetry}. */
export interface GrpcOpenTelemetryOptions {
  /** Where metrics are recorded. Without one nothing is: the global provider is never used. */
  readonly meterProvider?: MeterProvider | undefined;
  /** Names of metrics to record beyond those of gRFC A66, which are on by default. */
  readonly enableMetrics?: readonly string[];
  /** Names of metrics not to record. */
  readonly disableMetrics?: readonly string[];
  /**
   * Names of labels to record beyond those that every metric has: `grpc.client.call.custom` (gRFC
   * A108, see {@link customLabel}), `grpc.lb.locality`, `grpc.lb.backend_service` (gRFC A78, A89;
   * empty), `grpc.disconnect_error` and `grpc.security_level` (gRFC A94).
   */
  readonly optionalLabels?: readonly string[];
  /**
   * Decides whether `grpc.method` shows a method, given as `package.Service/Method`; `false` makes
   * it `other`. Methods that a server did not register are `other` in any case. A filter that throws
   * or returns a promise makes it `other` too.
   */
  readonly methodAttributeFilter?: (fullMethod: string) => boolean;
  /**
   * Decides whether `grpc.target` shows a canonical target; `false` makes it `other`. A filter that
   * throws or returns a promise makes it `other` too.
   */
  readonly targetAttributeFilter?: (target: string) => boolean;
  /** Where spans are made (gRFC A72). Without one none are: the global provider is never used. */
  readonly tracerProvider?: TracerProvider | undefined;
  /**
   * How a client tells the server of its spans, and how a server reads that. Without one spans are
   * made, but not joined. See {@link GrpcTraceBinPropagator} for peers that use OpenCensus.
   */
  readonly textMapPropagator?: TextMapPropagator | undefined;
}

/**
 * The gRPC OpenTelemetry plugin: records metrics and makes spans for channels and servers.
 *
 * Several plugins may be installed on one channel or server. A plugin that fails to record, or whose
 * provider, propagator or filter throws, warns once of each kind of failure; it never breaks a call.
 */
export class GrpcOpenTelemetry {
  readonly #instruments: Instruments;
  readonly #isOn: boolean;
  readonly #optionalLabels: ReadonlySet<OptionalLabel>;
  readonly #clientTracer: ClientTracer | undefined;
  readonly #serverTracer: ServerTracer | undefined;
  readonly #methodLabel: (path: string) => string;
  readonly #targetLabel: (target: string) => string;
  readonly #hooked = new WeakSet<ChannelInterface | Server>();
  readonly #subchannels = new WeakSet<object>();

  /** @throws {RangeError} for a name of a metric or label that this plugin does not know. */
  constructor(options: GrpcOpenTelemetryOptions) {
    const { meterProvider, tracerProvider, textMapPropagator } = options;
    const selected = selectMetrics(
      options.enableMetrics ?? [],
      options.disableMetrics ?? [],
    );
    this.#optionalLabels = selectOptionalLabels(options.optionalLabels ?? []);
    this.#isOn = meterProvider !== undefined || tracerProvider !== undefined;
    this.#instruments = createInstruments(
      shielded(() => meterProvider?.getMeter(SCOPE, grpcJs.version)),
      selected,
    );
    const tracer = shielded(
      () => tracerProvider?.getTracer(SCOPE, grpcJs.version),
      warnOfSpanFailure,
    );
    const propagation = textMapPropagator && new Propagation(textMapPropagator);
    this.#clientTracer = tracer && new ClientTracer(tracer, propagation);
    this.#serverTracer = tracer && new ServerTracer(tracer, propagation);

    const methodLabel = filteredLabel("methodAttributeFilter", options.methodAttributeFilter);
    this.#methodLabel = (path) => methodLabel(path.replace(/^\//, ""));
    this.#targetLabel = filteredLabel("targetAttributeFilter", options.targetAttributeFilter);
  }

  /**
   * Makes the options for a grpc-js client whose calls are recorded.
   *
   * @param options Channel options to keep. A `channelFactoryOverride` among them still makes the
   * channel; a `channelOverride` is recorded as well.
   */
  clientOptions(options: ClientOptions = {}): ClientOptions {
    if (!this.#isOn) return options;
    const recorded = this.#optionalLabels.has("grpc.client.call.custom")
      ? {
        ...options,
        callInvocationTransformer: readingCallOptions(
          options.callInvocationTransformer,
        ),
      }
      : options;
    const { channelOverride } = options;
    if (channelOverride !== undefined) {
      shielded(() => this.#hookChannel(channelOverride, channelOverride.getTarget()));
      return recorded;
    }
    const createChannel = options.channelFactoryOverride ??
      ((address, credentials, channelOptions) => new Channel(address, credentials, channelOptions));
    return {
      ...recorded,
      channelFactoryOverride: (address, credentials, channelOptions) => {
        const channel = createChannel(address, credentials, channelOptions);
        shielded(() => this.#hookChannel(channel, address));
        return channel;
      },
    };
  }

  /**
   * Records the calls that a server serves.
   *
   * @param server A server that is not bound to a port yet.
   * @returns The same server.
   * @throws {Error} if the server is bound already.
   */
  instrumentServer<S extends Server>(server: S): S {
    if (!this.#isOn || this.#hooked.has(server)) return server;
    const telemetry = new ServerTelemetry({
      instruments: this.#instruments.server,
      methodLabel: this.#methodLabel,
      tracer: this.#serverTracer,
    });
    hookServer(server, telemetry);
    this.#hooked.add(server);
    return server;
  }

  #hookChannel(channel: ChannelInterface, dialled: string): void {
    if (this.#hooked.has(channel)) return;
    this.#hooked.add(channel);
    const target = this.#targetLabel(
      canonicalTarget(dialled, (scheme) => isRegistered(scheme, channel)),
    );
    const optionalLabels = this.#optionalLabels;
    const telemetry = new ClientTelemetry({
      instruments: this.#instruments.client,
      target,
      methodLabel: this.#methodLabel,
      optionalLabels,
      tracer: this.#clientTracer,
    });
    hookChannel(channel, telemetry);
    const { subchannel } = this.#instruments;
    if (subchannel !== undefined) {
      hookSubchannels(
        channel,
        new SubchannelMetrics(
          subchannel,
          target,
          optionalLabels,
          this.#subchannels,
        ),
      );
    }
  }
}

/** The name of the meter and the tracer. */
const SCOPE = "grpc-js";

/**
 * Whether the application registered a resolver for the scheme: grpc-js then keeps the scheme in
 * the channel's target. Its built-in `ipv4` and `ipv6` do not count: grpc-go has none, and shows
 * such a target as a DNS name.
 */
function isRegistered(scheme: string, channel: ChannelInterface): boolean {
  return scheme !== "ipv4" && scheme !== "ipv6" &&
    channel.getTarget().startsWith(`${scheme}:`);
}
