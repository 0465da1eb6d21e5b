import type { ChannelInterface, ClientOptions, Server } from "@grpc/grpc-js";
import { ClientTelemetry } from "./client/call.ts";
import { hookConnections } from "./client/connection-hooks.ts";
import { readingCallOptions } from "./client/custom-label.ts";
import { channelKey, dialledTarget, hookChannel } from "./client/hooks.ts";
import { hookPolicies } from "./client/load-balancing-hooks.ts";
import { LoadBalancingMetrics } from "./client/load-balancing-metrics.ts";
import { ClientTracer } from "./client/spans.ts";
import { watchSubchannels } from "./client/policy-tree.ts";
import type { LabelsOfSubchannel } from "./client/policy-tree.ts";
import { hookSubchannels } from "./client/subchannel-hooks.ts";
import { SubchannelMetrics } from "./client/subchannel-metrics.ts";
import { canonicalTarget } from "./client/target.ts";
import type { ConnectionMetrics } from "./connections/connection-recorders.ts";
import { HandshakeMetrics } from "./connections/handshake-metrics.ts";
import { TcpMetrics } from "./connections/tcp-metrics.ts";
import { hookXdsClient, xdsClientOfChannel, xdsClientOfServer } from "./client/xds-client-hooks.ts";
import { XdsMetrics } from "./client/xds-metrics.ts";
import { deregister, register } from "./global.ts";
import type { GlobalOptions } from "./global.ts";
import type { GlobalPlugin } from "./global-state.ts";
import { createChannel } from "./grpc-copies.ts";
import type { ChannelLike, ServerLike } from "./grpc-copies.ts";
import { grpcJsVersion } from "./grpc-js-version.ts";
import { METRICS, SCOPE, selectMetrics } from "./metrics/definitions.ts";
import { createInstruments } from "./metrics/instruments.ts";
import type { HandshakeInstruments, Instruments } from "./metrics/instruments.ts";
import { checkedAttributes } from "./metrics/metric-attributes.ts";
import {
  filteredLabel,
  LOAD_BALANCER_LABELS,
  OTHER,
  passes,
  selectOptionalLabels,
} from "./metrics/labels.ts";
import type { OptionalLabel } from "./metrics/labels.ts";
import { methodFilter } from "./method-filter.ts";
import type { MethodFilter } from "./method-filter.ts";
import type { GrpcOpenTelemetryOptions } from "./options.ts";
import { RecordingScope } from "./recording-scope.ts";
import { ServerTelemetry } from "./server/call.ts";
import { hookServerConnections } from "./server/connection-hooks.ts";
import { hookServer, serverKey } from "./server/hooks.ts";
import type { RecordStream } from "./server/hooks.ts";
import { ServerTracer } from "./server/spans.ts";
import { Propagation } from "./tracing/propagation.ts";
import { shielded, warnOfSpanFailure } from "./warning.ts";

/**
 * Adds OpenTelemetry metrics and traces to the channels and servers of `@grpc/grpc-js`.
 *
 * It records the metrics of gRFC A66, A78, A80, A91, A94, A96, A118 and A121, and the spans of gRFC A72
 * and A121. It uses only the providers in its options, never the global ones.
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
  readonly #xdsMetrics: XdsMetrics | undefined;
  readonly #isOn: boolean;
  readonly #optionalLabels: ReadonlySet<OptionalLabel>;
  readonly #clientTracer: ClientTracer | undefined;
  readonly #serverTracer: ServerTracer | undefined;
  readonly #propagation: Propagation | undefined;
  readonly #publicEndpoint: boolean;
  readonly #methodLabel: (path: string) => string;
  readonly #targetLabel: (target: string) => string;
  readonly #methodFilter: MethodFilter | undefined;
  readonly #provider: object | undefined;
  /** The channels and servers that this plugin has hooked, by their keys. */
  readonly #scopes = new WeakMap<object, RecordingScope>();
  #global: GlobalPlugin | undefined;

  /**
   * Creates a plugin. Without a meter provider and a tracer provider it does nothing.
   *
   * @throws {RangeError} If the name of a metric or label is unknown; the message lists the known
   * names. If one of the `metricAttributes` is not allowed.
   */
  constructor(options: GrpcOpenTelemetryOptions) {
    const { meterProvider, tracerProvider, textMapPropagator } = options;
    const selected = selectMetrics(
      options.enableMetrics ?? [],
      options.disableMetrics ?? [],
      options.disableAllMetrics,
    );
    this.#optionalLabels = selectOptionalLabels(options.optionalLabels ?? []);
    this.#provider = meterProvider ?? tracerProvider;
    this.#isOn = [meterProvider, tracerProvider, textMapPropagator].some((part) =>
      part !== undefined
    );
    const version = grpcJsVersion();
    this.#instruments = createInstruments(
      shielded(() => meterProvider?.getMeter(SCOPE, version)),
      selected,
      checkedAttributes(options.metricAttributes ?? {}),
    );
    const { xdsClient } = this.#instruments;
    this.#xdsMetrics = xdsClient && shielded(() => new XdsMetrics(xdsClient));
    const tracer = shielded(
      () => tracerProvider?.getTracer(SCOPE, version),
      warnOfSpanFailure,
    );
    this.#clientTracer = tracer && new ClientTracer(tracer, {
      calls: selected.has(METRICS.clientCallDelay.duration.name),
      attempts: selected.has(METRICS.clientAttemptDelay.duration.name),
    });
    this.#serverTracer = tracer && new ServerTracer(tracer);
    this.#propagation = textMapPropagator && new Propagation(textMapPropagator);
    this.#publicEndpoint = options.publicEndpoint ?? false;

    const methodLabel = filteredLabel("methodAttributeFilter", options.methodAttributeFilter);
    this.#methodLabel = (path) => methodLabel(path.replace(/^\//, ""));
    this.#targetLabel = filteredLabel("targetAttributeFilter", options.targetAttributeFilter);
    this.#methodFilter = methodFilter(options.methodFilter);
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
        this.#instrumentChannel(channel, address);
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
    if (this.#isOn) this.#instrumentChannel(channel as unknown as ChannelInterface);
    return channel;
  }

  /** @param dialled The target that the application dialled. */
  #instrumentChannel(channel: ChannelInterface, dialled?: string): void {
    shielded(() => {
      const key = channelKey(channel);
      const known = this.#scopes.get(key);
      const scope = known ?? this.#newScope(key);
      scope.instrumentByHand(key);
      if (known === undefined) this.#hookChannel(channel, this.#target(channel, dialled), scope);
    });
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
    if (this.#isOn) {
      shielded(() => {
        const key = serverKey(server);
        const known = this.#scopes.get(key);
        const scope = known ?? this.#newScope(key);
        scope.instrumentByHand(key);
        if (known === undefined) this.#hookServer(server as unknown as Server, scope);
      });
    }
    return server;
  }

  /**
   * Records all channels and servers of this process, of each copy of `@grpc/grpc-js`, also of one
   * that is loaded later (gRFC A66). A channel that exists is recorded from its next call on, and a
   * server that is bound from its next stream on.
   *
   * A channel or server that a plugin of the same meter provider instruments is recorded by that
   * plugin only. The calls of exporters are not recorded: those of OTLP on both sides, and those that
   * are made in a context in which the SDK suppresses tracing.
   *
   * @example
   * ```ts
   * otel.registerGlobal({ targetFilter: (target) => target !== "dns:///localhost:4317" });
   * ```
   *
   * @throws {Error} If a plugin is registered already.
   * @throws {TypeError} If one of the `modules` is not grpc-js.
   */
  registerGlobal(options: GlobalOptions = {}): void {
    const { targetFilter, modules = [] } = options;
    const plugin: GlobalPlugin = {
      readsCallOptions: this.#isOn && this.#optionalLabels.has("grpc.client.call.custom"),
      useChannel: (channel) => {
        if (this.#isOn) this.#useChannel(channel, targetFilter);
      },
      useServer: (server) => {
        const key = serverKey(server);
        if (!this.#isOn || this.#scopes.has(key)) return undefined;
        return this.#hookServer(server, this.#newScope(key));
      },
    };
    register(plugin, modules);
    this.#global = plugin;
  }

  /**
   * Ends a global registration. Calls that are in progress are recorded to their end. Channels and
   * servers that were instrumented one by one stay so.
   *
   * @example
   * ```ts
   * otel.deregisterGlobal();
   * ```
   *
   * @throws {Error} If this plugin is not registered.
   */
  deregisterGlobal(): void {
    deregister(this.#global);
    this.#global = undefined;
  }

  #useChannel(channel: ChannelInterface, filter: GlobalOptions["targetFilter"]): void {
    const target = this.#target(channel);
    const isPassed = filter === undefined || passes("targetFilter", filter, target);
    const key = channelKey(channel);
    const known = this.#scopes.get(key);
    if (known !== undefined) known.isFilteredOut = isPassed === false;
    else if (isPassed !== false) {
      this.#hookChannel(channel, isPassed ? target : OTHER, this.#newScope(key));
    }
  }

  #newScope(key: object): RecordingScope {
    const scope = new RecordingScope(key, this.#provider, () => this.#global !== undefined);
    this.#scopes.set(key, scope);
    return scope;
  }

  #hookServer(server: Server, scope: RecordingScope): RecordStream | undefined {
    const telemetry = new ServerTelemetry({
      instruments: this.#instruments,
      methodLabel: this.#methodLabel,
      tracer: this.#serverTracer,
      propagation: this.#propagation,
      publicEndpoint: this.#publicEndpoint,
      includes: (path) => scope.includesReceived(path),
      methodFilter: this.#methodFilter,
    });
    const connections = this.#connectionMetrics(this.#instruments.serverHandshakes, scope);
    if (connections !== undefined) shielded(() => hookServerConnections(server, connections));
    this.#hookXdsClient(() => xdsClientOfServer(server), "#server", scope);
    return hookServer(server, telemetry);
  }

  #hookXdsClient(find: () => object | undefined, target: string, scope: RecordingScope): void {
    const metrics = this.#xdsMetrics;
    if (metrics === undefined) return;
    shielded(() => {
      const xdsClient = find();
      const isOn = includesConnections(scope);
      if (xdsClient !== undefined) hookXdsClient(xdsClient, metrics, { target, isOn });
    });
  }

  #target(channel: ChannelInterface, dialled: string = dialledTarget(channel)): string {
    return canonicalTarget(dialled, (scheme) => isRegistered(scheme, channel));
  }

  /** @param canonical The canonical target, or `other`. */
  #hookChannel(channel: ChannelInterface, canonical: string, scope: RecordingScope): void {
    const target = this.#targetLabel(canonical);
    const optionalLabels = this.#optionalLabels;
    const telemetry = new ClientTelemetry({
      instruments: this.#instruments,
      target,
      methodLabel: this.#methodLabel,
      optionalLabels,
      tracer: this.#clientTracer,
      propagation: this.#propagation,
      includes: (path) => scope.includesCall(path),
      methodFilter: this.#methodFilter,
    });
    hookChannel(channel, telemetry);
    this.#hookXdsClient(() => xdsClientOfChannel(channel), target, scope);
    const { weightedRoundRobin, outlierDetection } = this.#instruments;
    if (weightedRoundRobin !== undefined || outlierDetection !== undefined) {
      const metrics = new LoadBalancingMetrics(
        weightedRoundRobin,
        outlierDetection,
        target,
        optionalLabels,
        includesConnections(scope),
      );
      shielded(() => hookPolicies(channel, metrics));
    }
    const { subchannel } = this.#instruments;
    if (subchannel !== undefined) {
      hookSubchannels(
        channel,
        new SubchannelMetrics(
          subchannel,
          target,
          optionalLabels,
          includesConnections(scope),
          this.#watchSubchannels(channel),
        ),
      );
    }
    const { clientHandshakes } = this.#instruments;
    const labelsOf = clientHandshakes && this.#watchSubchannels(channel);
    const connections = this.#connectionMetrics(clientHandshakes, scope, target, labelsOf);
    if (connections !== undefined) hookConnections(channel, connections);
  }

  /** Returns what records the connections of a channel or server. Undefined if that is off. */
  #connectionMetrics(
    handshakes: HandshakeInstruments | undefined,
    scope: RecordingScope,
    target?: string,
    labelsOf?: LabelsOfSubchannel,
  ): ConnectionMetrics | undefined {
    const { tcp } = this.#instruments;
    if (handshakes === undefined && tcp === undefined) return undefined;
    const isOn = includesConnections(scope);
    return {
      handshakes: handshakes &&
        new HandshakeMetrics(handshakes, this.#optionalLabels, isOn, target, labelsOf),
      tcp: tcp && new TcpMetrics(tcp, this.#optionalLabels, isOn),
    };
  }

  /** Returns what finds the load balancer labels of a subchannel. Undefined if they are off. */
  #watchSubchannels(channel: ChannelInterface): LabelsOfSubchannel | undefined {
    const isOn = LOAD_BALANCER_LABELS.some((label) => this.#optionalLabels.has(label));
    return isOn ? shielded(() => watchSubchannels(channel)) : undefined;
  }
}

/**
 * Returns a function that asks the scope. Connections keep it, and Deno keeps closed connections: a
 * closure of the method that hooks a channel would keep the channel with them.
 */
function includesConnections(scope: RecordingScope): () => boolean {
  return () => scope.includesConnections();
}

/**
 * Returns whether the application registered a resolver for the scheme: grpc-js then keeps the scheme
 * in the channel's target. Its built-in `ipv4` and `ipv6` do not count, because grpc-go does not have
 * them and shows such a target as a DNS name.
 */
function isRegistered(scheme: string, channel: ChannelInterface): boolean {
  return scheme !== "ipv4" && scheme !== "ipv6" &&
    channel.getTarget().startsWith(`${scheme}:`);
}
