import type { Histogram } from "@opentelemetry/api";
import { Exchange } from "./exchange.ts";
import type { Instruments } from "./instruments.ts";
import { MethodAttributes } from "./method-attributes.ts";

/**
 * Records the client metrics of gRFC A66 for one channel.
 *
 * Attribute objects are made once for each method and status, and reused by every call.
 */
export class ClientMetrics {
  readonly #instruments: Instruments;
  readonly #target: string;
  readonly #methodLabel: (path: string) => string;
  readonly #methods = new Map<string, MethodAttributes>();

  /**
   * @param target The channel's `grpc.target` label.
   * @param methodLabel Gives the `grpc.method` label of a path such as `/package.Service/Method`.
   */
  constructor(instruments: Instruments, target: string, methodLabel: (path: string) => string) {
    this.#instruments = instruments;
    this.#target = target;
    this.#methodLabel = methodLabel;
  }

  /** The application started a call; its message is not serialized yet. */
  startCall(path: string): ClientCall {
    return new ClientCall(this.#instruments.clientCallDuration, this.#attributes(path));
  }

  /**
   * An attempt starts: the first, a retry, a hedge or a transparent retry. The name is resolved, a
   * subchannel is not picked yet.
   */
  startAttempt(path: string): Exchange {
    const attributes = this.#attributes(path);
    this.#instruments.clientAttemptStarted.add(1, attributes.started);
    return new Exchange(this.#instruments.clientAttempt, attributes);
  }

  #attributes(path: string): MethodAttributes {
    let attributes = this.#methods.get(path);
    if (attributes === undefined) {
      attributes = new MethodAttributes({
        "grpc.method": this.#methodLabel(path),
        "grpc.target": this.#target,
      });
      this.#methods.set(path, attributes);
    }
    return attributes;
  }
}

/** One call in progress, as the application sees it. */
export class ClientCall {
  readonly #duration: Histogram;
  readonly #attributes: MethodAttributes;
  readonly #startMs = performance.now();

  constructor(duration: Histogram, attributes: MethodAttributes) {
    this.#duration = duration;
    this.#attributes = attributes;
  }

  /** The call has its final status, which the application has not seen yet. */
  end(statusCode: number): void {
    const seconds = (performance.now() - this.#startMs) / 1000;
    this.#duration.record(seconds, this.#attributes.ended(statusCode));
  }
}
