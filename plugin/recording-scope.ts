import { isExporterCall, isSuppressed } from "./exporter-calls.ts";
import { shared } from "./shared-state.ts";

/** The scopes of all plugins, by the channel or server. */
const scopes = shared("scopes", () => new WeakMap<object, RecordingScope[]>());

/**
 * Decides which calls of one channel or server a plugin records: all of them if the application
 * instrumented it, and otherwise those that its global registration includes.
 *
 * The fields are public, because copies of this package share the scopes.
 */
export class RecordingScope {
  /** What the plugin records with. */
  readonly provider: object | undefined;
  /** Whether the application instrumented the channel or server with this plugin. */
  isByHand = false;
  /** Whether the application instrumented it with another plugin of the same provider. */
  isTaken = false;
  /** Whether the application's filter leaves it out of the global registration. */
  isFilteredOut = false;
  readonly isRegistered: () => boolean;

  /** @param isRegistered Returns whether the plugin is registered globally. */
  constructor(instance: object, provider: object | undefined, isRegistered: () => boolean) {
    this.provider = provider;
    this.isRegistered = isRegistered;
    const others = scopes.get(instance) ?? [];
    scopes.set(instance, [...others, this]);
    this.isTaken = others.some((other) => other.isByHand && other.provider === provider);
  }

  /** Called when the application instruments the channel or server. */
  instrumentByHand(instance: object): void {
    this.isByHand = true;
    for (const other of scopes.get(instance) ?? []) {
      if (other !== this && other.provider === this.provider) other.isTaken = true;
    }
  }

  /**
   * Returns whether the channel's connections are recorded. Plugins of one provider count each
   * connection once anyway.
   */
  includesConnections(): boolean {
    return this.isByHand || (this.isRegistered() && !this.isFilteredOut);
  }

  /** Returns whether a call that arrives is recorded. */
  includesReceived(path: string): boolean {
    return this.isByHand ||
      (this.includesConnections() && !this.isTaken && !isExporterCall(path));
  }

  /** Returns whether a call that the running code makes is recorded. */
  includesCall(path: string): boolean {
    return this.isByHand || (this.includesReceived(path) && !isSuppressed());
  }
}
