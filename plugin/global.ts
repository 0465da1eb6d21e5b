import { Channel, Client, Server } from "@grpc/grpc-js";
import { wrapChannels, wrapClients } from "./client/class-hooks.ts";
import { globalState } from "./global-state.ts";
import type { GlobalPlugin } from "./global-state.ts";
import { hasClasses, loadedCopies, watchLoading } from "./grpc-copies.ts";
import type { GrpcClasses, GrpcModule } from "./grpc-copies.ts";
import { wrapServers } from "./server/class-hooks.ts";
import { shielded } from "./warning.ts";

/** Configures {@link GrpcOpenTelemetry.registerGlobal}. Every option may be omitted. */
export interface GlobalOptions {
  /**
   * Returns whether the channels of a canonical target are recorded. If the filter throws or returns
   * a promise, they are recorded with the target `other`.
   */
  readonly targetFilter?: (target: string) => boolean;
  /**
   * Copies of grpc-js that the plugin cannot find: those that are bundled into a file of the
   * application, or that a custom loader for ES modules loads later.
   */
  readonly modules?: readonly GrpcModule[];
}

/**
 * Registers a plugin for all channels and servers of the process.
 *
 * @param modules Copies of grpc-js in addition to those that are loaded.
 * @throws {Error} If a plugin is registered already.
 * @throws {TypeError} If a module is not grpc-js.
 */
export function register(plugin: GlobalPlugin, modules: readonly GrpcModule[]): void {
  if (globalState.registration !== undefined) {
    throw new Error(
      "registerGlobal: a plugin is registered already; call its deregisterGlobal() first",
    );
  }
  const copies = modules.map((module, index) => {
    if (hasClasses(module)) return module;
    throw new TypeError(
      `registerGlobal: modules[${index}] has no Channel, Client and Server; pass what you import ` +
        "from @grpc/grpc-js",
    );
  });
  globalState.registration = { plugin, used: new WeakSet() };
  wrap({ Channel, Client, Server });
  copies.forEach(wrap);
  for (const copy of shielded(loadedCopies) ?? []) wrap(copy);
  if (globalState.watchesModules) return;
  globalState.watchesModules = true;
  shielded(() =>
    watchLoading((classes) => {
      // The next registration finds what is loaded while there is none.
      if (globalState.registration !== undefined) wrap(classes);
    })
  );
}

/**
 * Removes the registration of a plugin.
 *
 * @throws {Error} If the plugin is not registered.
 */
export function deregister(plugin: GlobalPlugin | undefined): void {
  if (plugin === undefined || globalState.registration?.plugin !== plugin) {
    throw new Error("deregisterGlobal: this plugin is not registered; call registerGlobal() first");
  }
  globalState.registration = undefined;
}

/** Wraps methods of the classes of a copy of grpc-js. Does nothing if they are wrapped already. */
function wrap({ Channel, Client, Server }: Partial<GrpcClasses>): void {
  wrapOnce(Channel, wrapChannels);
  wrapOnce(Client, wrapClients);
  wrapOnce(Server, wrapServers);
}

function wrapOnce<C extends { readonly prototype: object }>(
  Class: C | undefined,
  wrapClass: (Class: C) => void,
): void {
  if (Class === undefined || globalState.wrapped.has(Class.prototype)) return;
  globalState.wrapped.add(Class.prototype);
  shielded(() => wrapClass(Class));
}
