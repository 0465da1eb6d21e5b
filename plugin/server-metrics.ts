import { Exchange } from "./exchange.ts";
import type { Instruments } from "./instruments.ts";
import { MethodAttributes } from "./method-attributes.ts";

/** The `grpc.method` label of a method that nobody registered, or that a filter demotes. */
export const OTHER = "other";

/**
 * Records the server metrics of gRFC A66 for one server.
 *
 * Attribute objects are made once for each registered method and status, so a stranger who calls
 * methods that do not exist adds neither series nor memory.
 */
export class ServerMetrics {
  readonly #instruments: Instruments;
  readonly #methodLabel: (path: string) => string;
  readonly #methods = new Map<string, MethodAttributes>();
  readonly #other = new MethodAttributes({ "grpc.method": OTHER });

  /** @param methodLabel Gives the `grpc.method` label of a registered method's path. */
  constructor(instruments: Instruments, methodLabel: (path: string) => string) {
    this.#instruments = instruments;
    this.#methodLabel = methodLabel;
  }

  /**
   * The first header frame of a call came in.
   *
   * @param path The method's path, such as `/package.Service/Method`; `undefined` if nobody
   * registered it.
   */
  startCall(path: string | undefined): Exchange {
    const attributes = path === undefined ? this.#other : this.#attributes(path);
    this.#instruments.serverCallStarted.add(1, attributes.started);
    return new Exchange(this.#instruments.serverCall, attributes);
  }

  #attributes(path: string): MethodAttributes {
    let attributes = this.#methods.get(path);
    if (attributes === undefined) {
      attributes = new MethodAttributes({ "grpc.method": this.#methodLabel(path) });
      this.#methods.set(path, attributes);
    }
    return attributes;
  }
}
