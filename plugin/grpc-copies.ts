/**
 * The copies of grpc-js in this process. An application's copy may be another one than the plugin's:
 * another version, in a nested `node_modules`, or bundled into the application.
 *
 * @module
 */
import { Channel, ChannelCredentials } from "@grpc/grpc-js";
import type { ChannelInterface, Client, ClientOptions, Server } from "@grpc/grpc-js";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
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

/** What any copy of grpc-js exports. */
export interface GrpcModule {
  readonly Channel: new (...args: never[]) => ChannelLike;
  readonly Client: new (...args: never[]) => object;
  readonly Server: new (...args: never[]) => ServerLike;
}

/** The classes of a copy of grpc-js. */
export interface GrpcClasses {
  readonly Channel: typeof Channel;
  readonly Client: typeof Client;
  readonly Server: typeof Server;
}

/** What a copy of grpc-js exports, as far as the plugin uses it. */
export interface GrpcCopy extends GrpcClasses {
  readonly ChannelCredentials: typeof ChannelCredentials;
}

/** Returns whether a module exports the classes of grpc-js. */
export function hasClasses(exported: unknown): exported is GrpcClasses {
  const copy = exported as Partial<GrpcClasses> | null | undefined;
  return [copy?.Channel, copy?.Client, copy?.Server].every((Class) => typeof Class === "function");
}

function isCopy(exported: unknown): exported is GrpcCopy {
  return hasClasses(exported) &&
    typeof (exported as Partial<GrpcCopy>).ChannelCredentials === "function";
}

/** Returns a `require` that belongs to no module. Its file need not exist. */
function anyRequire(): NodeJS.Require {
  return createRequire(resolve("/grpc-js"));
}

/**
 * Returns the copies of grpc-js that are loaded, except those that are bundled, by their main files.
 * grpc-js is CommonJS, so a copy that an ES module imports is in the cache of `require` too.
 */
function copiesByFile(): [file: string, copy: GrpcCopy][] {
  const { cache } = anyRequire();
  return Object.keys(cache)
    .filter((path) => /[\\/]build[\\/]src[\\/]index\.js$/.test(path))
    .map((path): [string, unknown] => [path, cache[path]?.exports])
    .filter((entry): entry is [string, GrpcCopy] => isCopy(entry[1]));
}

/** Returns the copies of grpc-js that are loaded, except those that are bundled. */
export function loadedCopies(): GrpcCopy[] {
  return copiesByFile().map(([, copy]) => copy);
}

/** Returns the `package.json` of the copy of grpc-js that the plugin uses, if that copy is loaded. */
export function ownManifest(): unknown {
  const own = copiesByFile().find(([, copy]) => copy.Channel === Channel);
  return own && anyRequire()(join(dirname(own[0]), "../../package.json"));
}

/** The files of grpc-js that define its classes. */
const CLASS_FILES = /[\\/]build[\\/]src[\\/](?:channel|client|server)\.js$/;

/**
 * Calls `found` with the classes of each copy of grpc-js that is loaded from now on, before any other
 * module sees them.
 *
 * On Bun this hook does not see the file that an ES module imports, but it sees those that the file
 * requires. So it waits for the files that define the classes.
 */
export function watchLoading(found: (classes: Partial<GrpcClasses>) => void): void {
  const { extensions } = anyRequire();
  const load = extensions[".js"];
  if (load === undefined) return;
  extensions[".js"] = function (module, path, ...rest: []) {
    load.call(this, module, path, ...rest);
    if (CLASS_FILES.test(path)) shielded(() => found(definedClasses(module.exports ?? {})));
  };
}

/** Returns the classes of grpc-js among what a module exports. Other packages have such files too. */
function definedClasses(
  { ChannelImplementation, Client, Server }: Record<string, unknown>,
): Partial<GrpcClasses> {
  const classes: Record<string, unknown> = {};
  if (hasMethods(ChannelImplementation, "createCall", "getTarget")) {
    classes.Channel = ChannelImplementation;
  }
  if (hasMethods(Client, "makeUnaryRequest", "getChannel")) classes.Client = Client;
  if (hasMethods(Server, "bindAsync", "addService")) classes.Server = Server;
  return classes;
}

function hasMethods(Class: unknown, ...names: string[]): boolean {
  if (typeof Class !== "function") return false;
  const methods = Class.prototype as Record<string, unknown> | undefined;
  return names.every((name) => typeof methods?.[name] === "function");
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
