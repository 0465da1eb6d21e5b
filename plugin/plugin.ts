import { Channel } from "@grpc/grpc-js";
import type { ChannelInterface, ClientOptions, Server } from "@grpc/grpc-js";
import grpcJs from "@grpc/grpc-js/package.json" with { type: "json" };
import type { MeterProvider } from "@opentelemetry/api";
import { hookChannel } from "./client-hooks.ts";
import { ClientMetrics } from "./client-metrics.ts";
import { createInstruments, selectMetrics } from "./instruments.ts";
import type { Instruments } from "./instruments.ts";
import { hookServer } from "./server-hooks.ts";
import { OTHER, ServerMetrics } from "./server-metrics.ts";
import { canonicalTarget } from "./target.ts";

/** Options of {@link GrpcOpenTelemetry}. */
export interface GrpcOpenTelemetryOptions {
  /** Where metrics are recorded. Without one nothing is: the global provider is never used. */
  readonly meterProvider?: MeterProvider | undefined;
  /** Names of metrics to record beyond those that gRFC A66 switches on by default. */
  readonly enableMetrics?: readonly string[];
  /** Names of metrics not to record. */
  readonly disableMetrics?: readonly string[];
  /**
   * Decides whether `grpc.method` shows a method, given as `package.Service/Method`; `false` makes
   * it `other`. Methods that a server did not register are `other` in any case.
   */
  readonly methodAttributeFilter?: (fullMethod: string) => boolean;
  /** Decides whether `grpc.target` shows a canonical target; `false` makes it `other`. */
  readonly targetAttributeFilter?: (target: string) => boolean;
}

/**
 * The gRPC OpenTelemetry plugin: records the metrics of gRFC A66 for channels and servers.
 *
 * Several plugins may be installed on one channel or server. A plugin that fails to record warns
 * once; it never breaks a call.
 */
export class GrpcOpenTelemetry {
  readonly #instruments: Instruments | undefined;
  readonly #methodLabel: (path: string) => string;
  readonly #targetLabel: (target: string) => string;
  readonly #hooked = new WeakSet<ChannelInterface | Server>();

  /** @throws {RangeError} if a metric is enabled or disabled that this plugin does not know. */
  constructor(options: GrpcOpenTelemetryOptions) {
    const selected = selectMetrics(options.enableMetrics ?? [], options.disableMetrics ?? []);
    const meter = options.meterProvider?.getMeter("grpc-js", grpcJs.version);
    this.#instruments = meter && createInstruments(meter, selected);

    const showMethod = options.methodAttributeFilter ?? (() => true);
    const showTarget = options.targetAttributeFilter ?? (() => true);
    this.#methodLabel = (path) => {
      const fullMethod = path.replace(/^\//, "");
      return showMethod(fullMethod) ? fullMethod : OTHER;
    };
    this.#targetLabel = (target) => showTarget(target) ? target : OTHER;
  }

  /**
   * Makes the options for a grpc-js client whose calls are recorded.
   *
   * @param options Channel options to keep. A `channelFactoryOverride` among them still makes the
   * channel; a `channelOverride` is recorded as well.
   */
  clientOptions(options: ClientOptions = {}): ClientOptions {
    const instruments = this.#instruments;
    if (instruments === undefined) return options;
    if (options.channelOverride !== undefined) {
      this.#hookChannel(instruments, options.channelOverride, options.channelOverride.getTarget());
      return options;
    }
    const createChannel = options.channelFactoryOverride ??
      ((address, credentials, channelOptions) => new Channel(address, credentials, channelOptions));
    return {
      ...options,
      channelFactoryOverride: (address, credentials, channelOptions) => {
        const channel = createChannel(address, credentials, channelOptions);
        this.#hookChannel(instruments, channel, address);
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
    if (this.#instruments !== undefined && !this.#hooked.has(server)) {
      hookServer(server, new ServerMetrics(this.#instruments, this.#methodLabel));
      this.#hooked.add(server);
    }
    return server;
  }

  #hookChannel(instruments: Instruments, channel: ChannelInterface, dialled: string): void {
    if (this.#hooked.has(channel)) return;
    this.#hooked.add(channel);
    const target = canonicalTarget(dialled, (scheme) => isRegistered(scheme, channel));
    hookChannel(
      channel,
      new ClientMetrics(instruments, this.#targetLabel(target), this.#methodLabel),
    );
  }
}

/**
 * Whether the application registered a resolver for the scheme: grpc-js then keeps the scheme in
 * the channel's target. Its built-in `ipv4` and `ipv6` do not count: grpc-go has none, and shows
 * such a target as a DNS name.
 */
function isRegistered(scheme: string, channel: ChannelInterface): boolean {
  return scheme !== "ipv4" && scheme !== "ipv6" && channel.getTarget().startsWith(`${scheme}:`);
}
