/**
 * The copies of grpc-js in this process. An application's copy may be another one than the plugin's:
 * another version, in a nested `node_modules`, or bundled into the application.
 *
 * @module
 */
import { Channel, ChannelCredentials } from "@grpc/grpc-js";
import type { ChannelInterface, ClientOptions, Server } from "@grpc/grpc-js";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { adopted } from "./client/adopted-credentials.ts";
import { shielded } from "./warning.ts";

/** A channel of any copy of grpc-js. */
export interface ChannelLike {
  close(): void;
  getTarget(): string;
  createCall(...args: never[]): unknown;
}

/** A server of any copy of grpc-js. */
export interface ServerLike {
  addService(...args: never[]): void;
  bindAsync(...args: never[]): void;
}

/** What a copy of grpc-js exports, as far as the plugin uses it. */
export interface GrpcCopy {
  readonly Channel: typeof Channel;
  readonly ChannelCredentials: typeof ChannelCredentials;
  readonly Server: typeof Server;
}

function isCopy(exported: unknown): exported is GrpcCopy {
  const copy = exported as Partial<GrpcCopy> | null | undefined;
  return typeof copy?.Channel === "function" && typeof copy.ChannelCredentials === "function" &&
    typeof copy.Server === "function";
}

/**
 * Returns the copies of grpc-js that are loaded, except those that are bundled. grpc-js is CommonJS,
 * so a copy that an ES module imports is in the cache of `require` too.
 */
export function loadedCopies(): GrpcCopy[] {
  const { cache } = createRequire(resolve("/grpc-js"));
  return Object.keys(cache)
    .filter((path) => /[\\/]build[\\/]src[\\/]index\.js$/.test(path))
    .map((path) => cache[path]?.exports as unknown)
    .filter(isCopy);
}

/**
 * Creates a channel of the copy that the credentials come from, because a channel rejects credentials
 * of another copy. If that copy is bundled, creates a channel of the plugin's copy.
 *
 * The alternative, to hook a channel when a client makes its first call, would work for each copy,
 * but would miss the connections that were made before.
 */
export function createChannel(
  address: string,
  credentials: ChannelCredentials,
  options: ClientOptions,
): ChannelInterface {
  const fits = (copy: GrpcCopy) => (credentials as object) instanceof copy.ChannelCredentials;
  if (credentials instanceof ChannelCredentials) return new Channel(address, credentials, options);
  const copy = shielded(() => loadedCopies().find(fits));
  return copy === undefined
    ? new Channel(address, adopted(credentials), options)
    : new copy.Channel(address, credentials, options);
}
