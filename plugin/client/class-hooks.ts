/**
 * The boundary to grpc-js's classes of channels and clients. Only this file changes them.
 *
 * @module
 */
import type { Channel, ChannelInterface, Client } from "@grpc/grpc-js";
import { isExporterCall } from "../exporter-calls.ts";
import { wrapUse } from "../first-use.ts";
import type { Methods } from "../first-use.ts";
import { globalState } from "../global-state.ts";
import type { Registration } from "../global-state.ts";
import { shielded, warnOnce } from "../warning.ts";
import { readingCallOptions } from "./custom-label.ts";
import { channelKey } from "./hooks.ts";

/** Hooks each channel before its first use while a plugin is registered. */
export function wrapChannels({ prototype }: typeof Channel): void {
  const methods = prototype as unknown as Methods;
  // The channel of an exporter is never hooked, so its connections are not recorded either.
  wrapUse(
    methods,
    "createCall",
    (registration, channel, path) =>
      isUnused(registration, channel) && !(typeof path === "string" && isExporterCall(path)),
    use,
  );
  for (const name of ["getConnectivityState", "watchConnectivityState"]) {
    wrapUse(methods, name, isUnused, use);
  }
}

function isUnused(registration: Registration, channel: object): boolean {
  return !registration.used.has(channel) && !registration.used.has(channelKey(channel));
}

function use({ used, plugin }: Registration, channel: object): void {
  used.add(channel).add(channelKey(channel));
  plugin.useChannel(channel as ChannelInterface);
}

/**
 * The methods with which a client takes its arguments apart. Clients that are generated keep the
 * methods that make requests, so wrappers of those would not be called.
 */
const ARGUMENT_CHECKS = ["checkOptionalUnaryResponseArguments", "checkMetadataAndOptions"] as const;

type Transformer = Parameters<typeof readingCallOptions>[0];
type Transforming = Client & { [transformer: symbol]: Transformer };

/** Lets each client read the custom label in its call options while a plugin records it. */
export function wrapClients(Clients: typeof Client): void {
  const methods = Clients.prototype as unknown as Methods;
  const transformer = transformerKey(Clients);
  if (transformer === undefined || ARGUMENT_CHECKS.some((name) => methods[name] === undefined)) {
    warnOnce(
      "gRPC client metrics lack the custom labels of call options: this version of " +
        `@grpc/grpc-js has no Client with ${ARGUMENT_CHECKS.join(", ")}`,
    );
    return;
  }
  const reading = new WeakSet<object>();
  for (const name of ARGUMENT_CHECKS) {
    const original = methods[name]!;
    methods[name] = function (...args) {
      if (globalState.registration?.plugin.readsCallOptions && !reading.has(this)) {
        shielded(() => {
          reading.add(this);
          const client = this as Transforming;
          client[transformer] = readingCallOptions(client[transformer]);
        });
      }
      return original.apply(this, args);
    };
  }
}

/** Returns the property in which a client keeps its `callInvocationTransformer`. */
function transformerKey(Clients: typeof Client): symbol | undefined {
  const marker: Transformer = (call) => call;
  const client = new Clients("", undefined as never, {
    callInvocationTransformer: marker,
    channelOverride: {} as ChannelInterface,
  }) as Transforming;
  return Object.getOwnPropertySymbols(client).find((key) => client[key] === marker);
}
