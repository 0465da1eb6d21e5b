import type { ChannelInterface, ClientOptions, Server } from "@grpc/grpc-js";
import type { MeterProvider, TextMapPropagator, TracerProvider } from "@opentelemetry/api";
import { ClientTelemetry } from "./client/call.ts";
import { readingCallOptions } from "./client/custom-label.ts";
import { dialledTarget, hookChannel } from "./client/hooks.ts";
import { ClientTracer } from "./client/spans.ts";
import { hookSubchannels } from "./client/subchannel-hooks.ts";
import { SubchannelMetrics } from "./client/subchannel-metrics.ts";
import { canonicalTarget } from "./client/target.ts";
import { createChannel } from "./grpc-copies.ts";
import type { ChannelLike, ServerLike } from "./grpc-copies.ts";
import { grpcJsVersion } from "./grpc-js-version.ts";
import { selectMetrics } from "./metrics/definitions.ts";
import { createInstruments } from "./metrics/instruments.ts";
import type { Instruments } from "./metrics/instruments.ts";
import { filteredLabel, selectOptionalLabels } from "./metrics/labels.ts";
import type { OptionalLabel } from "./metrics/labels.ts";
import { ServerTelemetry } from "./server/call.ts";
import { hookServer } from "./server/hooks.ts";
import { ServerTracer } from "./server/spans.ts";
import { Propagation } from "./tracing/propagation.ts";
import { shielded, warnOfSpanFailure } from "./warning.ts";

/** Configures a {@link GrpcOpenTelemetry}. Every option may be omitted. */
export interface GrpcOpenTelemetryOptions {
  /** Creates the meter that records metrics. If omitted, no metrics are recorded. */
  readonly meterProvider?: MeterProvider | undefined;
  /**
   * The names of metrics to turn on. Those of gRFC A66 are on by default, others are off.
   *
   * The connection metrics (gRFC A94) count a connection once, also if channels or plugins of one
   * meter provider share it, with the labels of the first one. A connection that is open before it is
   * recorded counts as an attempt that succeeded.
   */
  readonly enableMetrics?: readonly string[];
  /** The names of metrics to turn off. */
  readonly disableMetrics?: readonly string[];
  /**
   * The names of labels to record in addition to the default ones:
   *
   * - `grpc.client.call.custom`: the label that {@link customLabel} sets (gRFC A108).
   * - `grpc.lb.locality` (gRFC A78) and `grpc.lb.backend_service` (gRFC A89): always empty.
   * - `grpc.disconnect_error` and `grpc.security_level`: on the connection metrics (gRFC A94).
   */
  readonly optionalLabels?: readonly string[];
  /**
   * Returns whether the label `grpc.method` shows a method, passed as `package.Service/Method`. The
   * label is `other` if the filter returns false, throws or returns a promise.
   *
   * A server always shows a method that is not registered as `other`.
   */
  readonly methodAttributeFilter?: (fullMethod: string) => boolean;
  /**
   * Returns whether the label `grpc.target` shows a canonical target. The label is `other` if the
   * filter returns false, throws or returns a promise.
   */
  readonly targetAttributeFilter?: (target: string) => boolean;
  /** Creates the tracer that starts spans (gRFC A72). If omitted, there are no spans. */
  readonly tracerProvider?: TracerProvider | undefined;
  /**
   * Passes the caller's context, such as its span and baggage, from clients to servers, with or
   * without a `tracerProvider`. If omitted, client and server spans are not joined into one trace. For
   * peers that use OpenCensus see {@link GrpcTraceBinPropagator}.
   */
  readonly textMapPropagator?: TextMapPropagator | undefined;
}

/**
 * Adds OpenTelemetry metrics and traces to the channels and servers of `@grpc/grpc-js`.
 *
 * It records the metrics of gRFC A66, A94 and A96, and the spans of gRFC A72. It uses only the
 * providers in its options, never the global ones.
 *
 * Several plugins may be installed on one channel or server. A plugin never breaks a call: if it
 * cannot record, or if a provider, propagator or filter throws, it emits one process warning for each
 * kind of failure.
 *
 * @example
 * ```ts
 * const otel = new GrpcOpenTelemetry({ meterProvider, tracerProvider, textMapPropagator });
 *
 * const client = new EchoClient(address, credentials, otel.clientOptions());
 * const server = otel.instrumentServer(new Server());
 * ```
 */
export class GrpcOpenTelemetry {
  readonly #instruments: Instruments;
  readonly #isOn: boolean;
  readonly #optionalLabels: ReadonlySet<OptionalLabel>;
  readonly #clientTracer: ClientTracer | undefined;
  readonly #serverTracer: ServerTracer | undefined;
  readonly #propagation: Propagation | undefined;
  readonly #methodLabel: (path: string) => string;
  readonly #targetLabel: (target: string) => string;
  readonly #hooked = new WeakSet<ChannelInterface | Server>();

  /**
   * Creates a plugin. Without a meter provider and a tracer provider it does nothing.
   *
   * @throws {RangeError} If the name of a metric or label is unknown. The message lists the known
   * names.
   */
  constructor(options: GrpcOpenTelemetryOptions) {
    const { meterProvider, tracerProvider, textMapPropagator } = options;
    const selected = selectMetrics(
      options.enableMetrics ?? [],
      options.disableMetrics ?? [],
    );
    this.#optionalLabels = selectOptionalLabels(options.optionalLabels ?? []);
    this.#isOn = [meterProvider, tracerProvider, textMapPropagator].some((part) =>
      part !== undefined
    );
    const version = grpcJsVersion();
    this.#instruments = createInstruments(
      shielded(() => meterProvider?.getMeter(SCOPE, version)),
      selected,
    );
    const tracer = shielded(
      () => tracerProvider?.getTracer(SCOPE, version),
      warnOfSpanFailure,
    );
    this.#clientTracer = tracer && new ClientTracer(tracer);
    this.#serverTracer = tracer && new ServerTracer(tracer);
    this.#propagation = textMapPropagator && new Propagation(textMapPropagator);

    const methodLabel = filteredLabel("methodAttributeFilter", options.methodAttributeFilter);
    this.#methodLabel = (path) => methodLabel(path.replace(/^\//, ""));
    this.#targetLabel = filteredLabel("targetAttributeFilter", options.targetAttributeFilter);
  }

  /**
   * Returns options for a grpc-js client whose calls are recorded. The client's copy of grpc-js may
   * be another one than the plugin's.
   *
   * @example
   * ```ts
   * const options = otel.clientOptions({ "grpc.keepalive_time_ms": 30_000 });
   * const client = new EchoClient(address, credentials, options);
   * ```
   *
   * @param options The client's own options. A `channelFactoryOverride` still creates the channel.
   * A `channelOverride` is recorded from now on, whether a client uses the returned options or not.
   */
  clientOptions<O extends ClientOptions | object = ClientOptions>(options?: O): O {
    return this.#clientOptions(options ?? {}) as O;
  }

  #clientOptions(options: ClientOptions): ClientOptions {
    if (!this.#isOn) return options;
    const recorded = this.#optionalLabels.has("grpc.client.call.custom")
      ? {
        ...options,
        callInvocationTransformer: readingCallOptions(
          options.callInvocationTransformer,
        ),
      }
      : options;
    if (options.channelOverride !== undefined) {
      this.instrumentChannel(options.channelOverride);
      return recorded;
    }
    const create = options.channelFactoryOverride ?? createChannel;
    return {
      ...recorded,
      channelFactoryOverride: (address, credentials, channelOptions) => {
        const channel = create(address, credentials, channelOptions);
        shielded(() => this.#hookChannel(channel, address));
        return channel;
      },
    };
  }

  /**
   * Records the calls of a channel that already exists, such as one that a framework created. Calls
   * that are in progress are not recorded.
   *
   * @example
   * ```ts
   * otel.instrumentChannel(client.getChannel());
   * ```
   *
   * @returns The same channel.
   */
  instrumentChannel<C extends ChannelLike>(channel: C): C {
    if (!this.#isOn) return channel;
    shielded(() => {
      const known = channel as unknown as ChannelInterface;
      this.#hookChannel(known, dialledTarget(known));
    });
    return channel;
  }

  /**
   * Records the calls of a server, also of one that is bound already. Calls that are in progress are
   * not recorded.
   *
   * @example
   * ```ts
   * const server = otel.instrumentServer(new Server());
   * server.addService(EchoService, handlers);
   * ```
   *
   * @returns The same server.
   */
  instrumentServer<S extends ServerLike>(server: S): S {
    if (this.#isOn) shielded(() => this.#hookServer(server as unknown as Server));
    return server;
  }

  #hookServer(server: Server): void {
    if (this.#hooked.has(server)) return;
    this.#hooked.add(server);
    const telemetry = new ServerTelemetry({
      instruments: this.#instruments,
      methodLabel: this.#methodLabel,
      tracer: this.#serverTracer,
      propagation: this.#propagation,
    });
    hookServer(server, telemetry);
  }

  #hookChannel(channel: ChannelInterface, dialled: string): void {
    if (this.#hooked.has(channel)) return;
    this.#hooked.add(channel);
    const target = this.#targetLabel(
      canonicalTarget(dialled, (scheme) => isRegistered(scheme, channel)),
    );
    const optionalLabels = this.#optionalLabels;
    const telemetry = new ClientTelemetry({
      instruments: this.#instruments,
      target,
      methodLabel: this.#methodLabel,
      optionalLabels,
      tracer: this.#clientTracer,
      propagation: this.#propagation,
    });
    hookChannel(channel, telemetry);
    const { subchannel } = this.#instruments;
    if (subchannel !== undefined) {
      hookSubchannels(
        channel,
        new SubchannelMetrics(subchannel, target, optionalLabels),
      );
    }
  }
}

/** The name of the meter and the tracer. Their version is that of grpc-js. */
const SCOPE = "grpc-js";

/**
 * Returns whether the application registered a resolver for the scheme: grpc-js then keeps the scheme
 * in the channel's target. Its built-in `ipv4` and `ipv6` do not count, because grpc-go does not have
 * them and shows such a target as a DNS name.
 */
function isRegistered(scheme: string, channel: ChannelInterface): boolean {
  return scheme !== "ipv4" && scheme !== "ipv6" &&
    channel.getTarget().startsWith(`${scheme}:`);
}
