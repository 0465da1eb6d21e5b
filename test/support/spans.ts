import type { HrTime } from "@opentelemetry/api";
import {
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";

/** A real `TracerProvider` and the spans that ended. */
export class SpanRecording {
  readonly #exporter = new InMemorySpanExporter();
  readonly tracerProvider = new TracerProvider({
    spanProcessors: [new SimpleSpanProcessor({ exporter: this.#exporter })],
  });

  /** The spans in the order of their ends. */
  get spans(): ReadableSpan[] {
    return this.#exporter.getFinishedSpans();
  }

  /** Returns the spans by name. Throws if two have the same name. */
  byName(): Map<string, ReadableSpan> {
    const spans = new Map(this.spans.map((span) => [span.name, span]));
    if (spans.size !== this.spans.length) throw new Error("two spans have the same name");
    return spans;
  }
}

/** Formats the events of a span: `Outbound message sequence-number=0 message-size=7`. */
export function events(span: ReadableSpan | undefined): string[] {
  return (span?.events ?? []).map(({ name, attributes = {} }) =>
    [name, ...Object.entries(attributes).map(([key, value]) => `${key}=${value}`)].join(" ")
  );
}

/** Converts OpenTelemetry's high-resolution time to milliseconds. */
export function milliseconds([seconds, nanoseconds]: HrTime): number {
  return seconds * 1000 + nanoseconds / 1e6;
}
