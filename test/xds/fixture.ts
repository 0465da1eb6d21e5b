/**
 * A recorded client of an xDS control plane, and its back ends. These tests run in a copy of the project
 * next to the packages of `package.json`, see `xds.test.ts`.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { echoClient, unary } from "../support/echo.ts";
import type { EchoClient } from "../support/echo.ts";
import { eventually } from "../support/eventually.ts";
import type { Owner } from "../support/script.ts";
import { Recording } from "../support/series.ts";
import { ControlPlane } from "./control-plane.ts";
import type { Resource } from "./resources.ts";

/** What these tests use of the package, which the project itself does not have. */
interface Xds {
  register(): void;
  readonly XdsServer: new (options?: grpc.ServerOptions) => grpc.Server;
}

// The package reads this variable when it is loaded.
process.env["GRPC_EXPERIMENTAL_XDS_WRR_LB"] = "true";
export const xds = createRequire(import.meta.url)("@grpc/grpc-js-xds") as Xds;
xds.register();

/** The program of the control plane. */
const PROGRAM = process.env["XDS_CONTROL_PLANE"] ?? "";

/** Starts a control plane. */
export function startControlPlane(
  owner: Owner,
  resources: readonly Resource[],
): Promise<ControlPlane> {
  assert.notEqual(PROGRAM, "", "XDS_CONTROL_PLANE is not set; run test/xds/xds.test.ts");
  return ControlPlane.start(owner, PROGRAM, resources);
}

/** The option of a channel that has an xDS client of its own. Others share one. */
export function ownXdsClient(plane: { readonly bootstrap: string }): grpc.ClientOptions {
  return { "grpc.TEST_ONLY_DO_NOT_USE_IN_PROD.xds_bootstrap_config": plane.bootstrap };
}

/** A recorded client. */
export interface RecordedClient {
  readonly client: EchoClient;
  readonly recording: Recording;
  /** Makes calls one after another, and returns how many ended with each text or status. */
  call(count: number): Promise<Record<string, number>>;
}

/** Creates a recorded client, which is closed with its owner. */
export function recordedClient(
  owner: Owner,
  target: string,
  plugin: Omit<GrpcOpenTelemetryOptions, "meterProvider">,
  options: grpc.ClientOptions = {},
  recording = new Recording(),
): RecordedClient {
  const otel = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider, ...plugin });
  const client = echoClient(
    target,
    otel.clientOptions({ "grpc.use_local_subchannel_pool": 1, ...options }),
  );
  owner.after(() => Promise.resolve(client.close()));
  return { client, recording, call: (count) => callRepeatedly(client, count) };
}

/** Makes calls one after another, and returns how many ended with each text or status. */
export async function callRepeatedly(
  client: EchoClient,
  count: number,
): Promise<Record<string, number>> {
  const outcomes: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const outcome = await unary(client, "hello", { deadline: Date.now() + 20_000 });
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  return outcomes;
}

/** Returns the values of a metric's series by their labels, such as `locality=…`, without prefixes. */
export async function metric(
  recording: Recording,
  name: string,
): Promise<Record<string, number | { readonly count: number; readonly sum: number }>> {
  const found = (await recording.metrics()).find(({ descriptor }) => descriptor.name === name);
  return Object.fromEntries(
    (found?.dataPoints ?? []).map(({ attributes, value }) => [
      Object.entries(attributes)
        .filter(([key]) => key !== "grpc.target" && key !== "grpc.method")
        .map(([key, label]) => `${key.replace(/^grpc\.(lb\.)?/, "")}=${label}`)
        .sort().join(),
      typeof value === "number"
        ? value
        : { count: (value as { count: number }).count, sum: (value as { sum: number }).sum },
    ]),
  );
}

/** Waits until a metric's series satisfy a check. */
export function eventuallyMetric(
  recording: Recording,
  name: string,
  check: (series: Awaited<ReturnType<typeof metric>>) => void,
): Promise<void> {
  return eventually(async () => check(await metric(recording, name)), 20_000);
}
