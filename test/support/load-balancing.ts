import type * as grpc from "@grpc/grpc-js";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { echoClient, unary } from "./echo.ts";
import type { EchoClient } from "./echo.ts";
import { eventually } from "./eventually.ts";
import type { Owner } from "./script.ts";
import { Recording } from "./series.ts";

/** A recorded client of several back ends. */
export interface BalancedClient {
  readonly client: EchoClient;
  readonly recording: Recording;
  /** Makes calls one after another, and returns how many ended with each text or status. */
  call(count: number): Promise<Record<string, number>>;
}

/** Creates a recorded client, which is closed with its owner. */
export function balancedClient(
  owner: Owner,
  target: string,
  plugin: Omit<GrpcOpenTelemetryOptions, "meterProvider">,
  options: grpc.ClientOptions = {},
  recording = new Recording(),
): BalancedClient {
  const otel = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider, ...plugin });
  const client = echoClient(
    target,
    otel.clientOptions({ "grpc.use_local_subchannel_pool": 1, ...options }),
  );
  owner.after(() => Promise.resolve(client.close()));
  return { client, recording, call: (count) => callRepeatedly(client, count) };
}

async function callRepeatedly(client: EchoClient, count: number): Promise<Record<string, number>> {
  const outcomes: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const outcome = await unary(client, "hello", { deadline: Date.now() + 20_000 });
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  return outcomes;
}

/** The value of a series. That of a histogram is its count and its sum. */
export type Value = number | { readonly count: number; readonly sum: number };

/**
 * Returns the values of a metric's series by their labels, such as `locality=…`, without prefixes and
 * without target and method.
 */
export async function metric(recording: Recording, name: string): Promise<Record<string, Value>> {
  const found = (await recording.metrics()).find(({ descriptor }) => descriptor.name === name);
  return Object.fromEntries(
    (found?.dataPoints ?? []).map(({ attributes, value }) => [
      Object.entries(attributes)
        .filter(([key]) => key !== "grpc.target" && key !== "grpc.method")
        .map(([key, label]) =>
          `${key.replace(/^grpc\.(lb\.(outlier_detection\.)?|xds\.)?/, "")}=${label}`
        )
        .sort().join(),
      typeof value === "number" ? value : { count: value.count, sum: value.sum! },
    ]),
  );
}

/** Makes calls until a check of what is recorded does not throw. */
export function callUntil(
  { call }: Pick<BalancedClient, "call">,
  check: () => Promise<void>,
): Promise<void> {
  return eventually(async () => {
    await call(10);
    await check();
  }, 20_000);
}
