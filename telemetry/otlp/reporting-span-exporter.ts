import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";
import { Delivery } from "./delivery.ts";

/** An exporter of spans that tells in plain lines when it fails and when it works again. */
export class ReportingSpanExporter implements SpanExporter {
  #exporter: SpanExporter;
  readonly #delivery: Delivery;

  /**
   * @param exporter Does the exporting.
   * @param destination Where it exports to, without secrets, for the lines.
   * @param timeoutMs How long an export may take, in milliseconds.
   * @param report Takes the lines.
   */
  constructor(
    exporter: SpanExporter,
    destination: string,
    timeoutMs: number,
    report: (line: string) => void,
  ) {
    this.#exporter = exporter;
    const signal = {
      name: "spans",
      consequence: "they are lost",
      toll: (spans: number) => `${spans} were lost`,
    } as const;
    this.#delivery = new Delivery(signal, destination, timeoutMs, report);
  }

  export(spans: ReadableSpan[], done: Parameters<SpanExporter["export"]>[1]): void {
    this.#delivery.export(
      spans.length,
      (callback) => this.#exporter.export(spans, callback),
      done,
    );
  }

  /** Has another one do the exporting; the one before finishes what it has begun. */
  replace(exporter: SpanExporter): Promise<void> {
    const before = this.#exporter;
    this.#exporter = exporter;
    return before.shutdown();
  }

  /** What has not been delivered, as a line for the log; `undefined` if everything has. */
  undelivered(): string | undefined {
    return this.#delivery.undelivered();
  }

  async forceFlush(): Promise<void> {
    await this.#exporter.forceFlush?.();
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }
}
