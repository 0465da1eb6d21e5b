import { experimental, Metadata, status } from "@grpc/grpc-js";
import type { StatusObject } from "@grpc/grpc-js";

/** The listener of a resolver, up to grpc-js 1.13. */
interface ListenerObject {
  onSuccessfulResolution(endpoints: unknown, ...nothing: unknown[]): void;
  onError(error: StatusObject): void;
}
type Listener = ListenerObject | ((endpoints: unknown, ...nothing: unknown[]) => void);

const names = new Map<string, HeldName>();

/** A name that is resolved when the test says so. */
export class HeldName {
  readonly target: string;
  #listener: Listener | undefined;

  /** @param name A host name that no other test of this process uses. */
  constructor(name: string) {
    this.target = `held:///${name}`;
    names.set(name, this);
    experimental.registerResolver("held", HeldResolver as unknown as RegisteredResolver);
  }

  /** Called when a channel wants to know the addresses of the name. */
  resolvedFor(listener: Listener): void {
    this.#listener = listener;
  }

  /** Resolves the name to a port of this host. */
  resolve(port: number): void {
    const endpoints = [{ addresses: [{ host: "127.0.0.1", port }] }];
    const listener = this.#listener!;
    if (typeof listener === "function") {
      listener(experimental.statusOrFromValue(endpoints), {}, null, "");
    } else {
      listener.onSuccessfulResolution(endpoints, null, null, null, {});
    }
  }

  /**
   * Lets the name resolution fail before there is any configuration for calls: its service config is
   * invalid. Up to grpc-js 1.13, any failure is like that.
   */
  failWithoutConfig(details: string): void {
    const error = { code: status.UNAVAILABLE, details, metadata: new Metadata() };
    const listener = this.#listener!;
    if (typeof listener === "function") {
      listener(experimental.statusOrFromValue([]), {}, experimental.statusOrFromError(error), "");
    } else {
      listener.onError(error);
    }
  }

  /** Lets the name resolution fail: there are no addresses. */
  fail(details: string): void {
    const error = { code: status.UNAVAILABLE, details, metadata: new Metadata() };
    const listener = this.#listener!;
    if (typeof listener === "function") {
      listener(experimental.statusOrFromError(error), {}, null, "");
    } else {
      listener.onError(error);
    }
  }
}

type RegisteredResolver = Parameters<typeof experimental.registerResolver>[1];

class HeldResolver {
  readonly #name: string;
  readonly #listener: Listener;

  constructor({ path }: experimental.GrpcUri, listener: Listener) {
    this.#name = path;
    this.#listener = listener;
  }

  updateResolution(): void {
    names.get(this.#name)?.resolvedFor(this.#listener);
  }

  destroy(): void {}

  static getDefaultAuthority({ path }: experimental.GrpcUri): string {
    return path;
  }
}
