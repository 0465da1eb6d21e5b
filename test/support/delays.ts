/**
 * Clients whose delays are recorded, and what delays them.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { echoClient, echoHandlers, echoService, listen } from "./echo.ts";
import type { EchoClient, EchoMessage } from "./echo.ts";
import { Recording } from "./series.ts";
import type { HistogramValue } from "./series.ts";
import { TcpProxy } from "./tcp-proxy.ts";

/** The metrics of gRFC A121. */
export const CALL_DELAY = "grpc.client.call.delay.duration";
export const ATTEMPT_DELAY = "grpc.client.attempt.delay.duration";

/** The delays of the first call on a channel, as {@link countedDelays} returns them. */
export const FIRST_CALL = { "call resolving": 1, "attempt connecting": 1 };

/** What must end for a test to leave nothing behind: a test, for example. */
interface Owner {
  after(end: () => void): void;
}

export interface RecordedClient {
  readonly client: EchoClient;
  readonly recording: Recording;
}

/** Creates a client that records its delays and shares no connections with others. */
export function recordedClient(
  owner: Owner,
  target: string,
  { plugin = {}, client: options = {} }: {
    readonly plugin?: GrpcOpenTelemetryOptions;
    readonly client?: grpc.ClientOptions;
  } = {},
): RecordedClient {
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({
    meterProvider: recording.meterProvider,
    enableMetrics: [CALL_DELAY, ATTEMPT_DELAY],
    ...plugin,
  });
  const client = echoClient(
    target,
    otel.clientOptions({
      "grpc.use_local_subchannel_pool": 1,
      "grpc.initial_reconnect_backoff_ms": 20,
      "grpc.max_reconnect_backoff_ms": 50,
      ...options,
    }),
  );
  owner.after(() => client.close());
  return { client, recording };
}

/** Starts an Echo server without the plugin, by default on a free port. Returns its port. */
export async function echoServer(owner: Owner, port?: number): Promise<number> {
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  owner.after(() => server.forceShutdown());
  if (port === undefined) return await listen(server);
  return await new Promise((resolve, reject) => {
    server.bindAsync(
      `127.0.0.1:${port}`,
      grpc.ServerCredentials.createInsecure(),
      (error, bound) => error ? reject(error) : resolve(bound),
    );
  });
}

/**
 * Starts a proxy.
 *
 * @param upstream The port to forward to. If omitted, connections wait until the test forwards them.
 */
export async function proxyServer(
  owner: Owner,
  upstream?: number,
): Promise<{ proxy: TcpProxy; port: number }> {
  const proxy = new TcpProxy(upstream);
  owner.after(() => proxy.close());
  return { proxy, port: await proxy.listen() };
}

type UnaryEcho = (
  request: EchoMessage,
  metadata: grpc.Metadata,
  options: grpc.CallOptions,
  reply: grpc.requestCallback<EchoMessage>,
) => grpc.ClientUnaryCall;

/** Starts a unary call. `ended` resolves with the name of its status. */
export function startCall(
  client: EchoClient,
  { waitForReady = false, ...options }: grpc.CallOptions & { readonly waitForReady?: boolean } = {},
): { readonly ended: Promise<string>; cancel(): void } {
  let cancel = () => {};
  const ended = new Promise<string>((resolve) => {
    const call = (client.UnaryEcho as unknown as UnaryEcho)(
      { message: "hello" },
      new grpc.Metadata({ waitForReady }),
      options,
      (error) => resolve(grpc.status[error?.code ?? 0]!),
    );
    cancel = () => call.cancel();
  });
  return { ended, cancel };
}

/** All delays of one type. */
export interface RecordedDelays {
  readonly count: number;
  /** The sum. */
  readonly seconds: number;
}

/** Returns what was recorded by level and type, such as `attempt connecting`. */
export async function recordedDelays(
  { recording }: { readonly recording: Recording },
): Promise<Record<string, RecordedDelays>> {
  const delays: Record<string, RecordedDelays> = {};
  for (const { descriptor: { name }, dataPoints } of await recording.metrics()) {
    if (name !== CALL_DELAY && name !== ATTEMPT_DELAY) continue;
    const level = name === CALL_DELAY ? "call" : "attempt";
    for (const { attributes, value } of dataPoints) {
      const { count, sum = NaN } = value as HistogramValue;
      delays[`${level} ${attributes["grpc.delay_type"]}`] = { count, seconds: sum };
    }
  }
  return delays;
}

/** Returns how many delays were recorded by level and type, such as `attempt connecting`. */
export async function countedDelays(
  from: { readonly recording: Recording },
): Promise<Record<string, number>> {
  const delays = Object.entries(await recordedDelays(from));
  return Object.fromEntries(delays.map(([type, { count }]) => [type, count]));
}
