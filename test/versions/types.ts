/** Types of other copies of grpc-js that the plugin accepts. Checked by tsc, never run. */
import * as old from "grpc-js-1.10.0";
import * as recent from "grpc-js-1.14.7";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";

const otel = new GrpcOpenTelemetry({});

export const oldServer: old.Server = otel.instrumentServer(new old.Server());
export const oldClient = new old.Client(
  "localhost:1",
  old.credentials.createInsecure(),
  otel.clientOptions(),
);
export const oldChannel: ReturnType<old.Client["getChannel"]> = otel.instrumentChannel(
  oldClient.getChannel(),
);
new old.Client(
  "localhost:1",
  old.credentials.createInsecure(),
  otel.clientOptions({
    "grpc.keepalive_time_ms": 30_000,
    channelFactoryOverride: (address, credentials, options) =>
      new old.Channel(address, credentials, options),
  }),
);
const oldOptions: old.ClientOptions = { interceptors: [] };
new old.Client("localhost:1", old.credentials.createInsecure(), otel.clientOptions(oldOptions));

export const recentServer: recent.Server = otel.instrumentServer(new recent.Server());
const recentOptions: recent.ClientOptions = otel.clientOptions();
export const recentClient = new recent.Client(
  "localhost:1",
  recent.credentials.createInsecure(),
  otel.clientOptions({ ...recentOptions, "grpc.keepalive_time_ms": 30_000 }),
);
otel.instrumentChannel(recentClient.getChannel());
otel.clientOptions({ channelOverride: oldChannel });
otel.registerGlobal({ modules: [old, recent] });

/** Without a client, options have the types of the plugin's copy. */
otel.clientOptions({
  channelFactoryOverride: (address, credentials, options) =>
    new recent.Channel(address.trim(), credentials, options),
});

// @ts-expect-error: not options
otel.clientOptions("localhost:1");
// @ts-expect-error: not a server
otel.instrumentServer(recentClient);
// @ts-expect-error: not a channel
otel.instrumentChannel(recentServer);
