import type { ChannelInterface, Server } from "@grpc/grpc-js";
import type { RecordStream } from "./server/hooks.ts";
import { shared } from "./shared-state.ts";

/** The plugin that is registered globally, as the classes of grpc-js call it. */
export interface GlobalPlugin {
  /** Whether it records the custom labels in call options. */
  readonly readsCallOptions: boolean;
  /** Called before the first use of a channel. */
  useChannel(channel: ChannelInterface): void;
  /**
   * Called before the first use of a server.
   *
   * @returns A function that records a stream whose listener has been called already. Undefined if
   * that stream is recorded, or must not be.
   */
  useServer(server: Server): RecordStream | undefined;
}

/** One global registration. */
export interface Registration {
  readonly plugin: GlobalPlugin;
  /** The channels and servers that have been used since, see {@link GlobalPlugin}. */
  readonly used: WeakSet<object>;
}

interface GlobalState {
  registration: Registration | undefined;
  /** The prototypes whose methods are wrapped. They stay so, because others may wrap the wrappers. */
  readonly wrapped: WeakSet<object>;
  /** Whether modules that are loaded from now on are looked at. */
  watchesModules: boolean;
}

/** All copies of this package share the registration and the wrappers. */
export const globalState: GlobalState = shared("global", () => ({
  registration: undefined,
  wrapped: new WeakSet<object>(),
  watchesModules: false,
}));
