/**
 * A planned name resolver for targets such as `man:///two`.
 *
 * @module
 */
import { experimental, Metadata, status } from "@grpc/grpc-js";
import type { ServiceConfig } from "@grpc/grpc-js";

/** The result of a name resolution: ports of this host, an error, or none. */
export type Resolution =
  | {
    readonly ports: readonly number[];
    readonly serviceConfig?: ServiceConfig;
  }
  | { readonly error: string }
  | "never";

const names = new Map<string, Resolution>();

/** Sets the resolution of the target `scheme:///name`. The scheme stays registered. */
export function resolveTo(scheme: "man" | "xds", name: string, resolution: Resolution): void {
  names.set(`${scheme}:${name}`, resolution);
  experimental.registerResolver(scheme, PlannedResolver);
}

class PlannedResolver implements experimental.Resolver {
  readonly #target: experimental.GrpcUri;
  readonly #listener: ConstructorParameters<
    Parameters<typeof experimental.registerResolver>[1]
  >[1];
  #destroyed = false;

  constructor(
    target: experimental.GrpcUri,
    listener: ConstructorParameters<
      Parameters<typeof experimental.registerResolver>[1]
    >[1],
  ) {
    this.#target = target;
    this.#listener = listener;
  }

  updateResolution(): void {
    const resolution = names.get(`${this.#target.scheme}:${this.#target.path}`) ?? "never";
    if (resolution === "never") return;
    setImmediate(() => {
      if (this.#destroyed) return;
      if ("error" in resolution) {
        const error = {
          code: status.UNAVAILABLE,
          details: resolution.error,
          metadata: new Metadata(),
        };
        this.#listener(experimental.statusOrFromError(error), {}, null, "");
      } else {
        const endpoints = resolution.ports.map((port) => ({
          addresses: [{ host: "127.0.0.1", port }],
        }));
        const config = resolution.serviceConfig;
        this.#listener(
          experimental.statusOrFromValue(endpoints),
          {},
          config === undefined ? null : experimental.statusOrFromValue(config),
          "",
        );
      }
    });
  }

  destroy(): void {
    this.#destroyed = true;
  }

  static getDefaultAuthority(target: experimental.GrpcUri): string {
    return target.path;
  }
}
