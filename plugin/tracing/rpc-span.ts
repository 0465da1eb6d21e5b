import { SpanStatusCode, trace } from "@opentelemetry/api";
import type { Attributes, Context, Span, SpanOptions, TimeInput, Tracer } from "@opentelemetry/api";
import { statusName } from "../metrics/per-method.ts";
import { onRejection } from "../../log/rejection.ts";
import { warnOfSpanFailure } from "../warning.ts";

/**
 * A span of gRFC A72. What the application's tracer throws ends here, as a warning: it costs a span,
 * never a metric or an RPC.
 */
export class RpcSpan {
  readonly #span: Span;
  /** The one that it is the active span in. */
  readonly context: Context;
  readonly isRecording: boolean;

  private constructor(span: Span, parent: Context) {
    this.#span = span;
    this.context = trace.setSpan(parent, span);
    this.isRecording = span.isRecording();
  }

  /**
   * Starts a span.
   *
   * @param name See {@link spanName}.
   * @returns undefined if the tracer fails.
   */
  static start(
    tracer: Tracer,
    name: string,
    options: SpanOptions,
    parent: Context,
  ): RpcSpan | undefined {
    try {
      return new RpcSpan(tracer.startSpan(name, options, parent), parent);
    } catch (error) {
      warnOfSpanFailure(error);
      return undefined;
    }
  }

  addEvent(name: string, attributes?: Attributes): void {
    try {
      this.#span.addEvent(name, attributes);
    } catch (error) {
      warnOfSpanFailure(error);
    }
  }

  /**
   * Sets its status from an RPC's, and ends it (gRFC A72).
   *
   * @param endTime Now, unless given.
   */
  end(code: number, details: string, endTime?: TimeInput): void {
    try {
      if (code === 0) {
        this.#span.setStatus({ code: SpanStatusCode.OK });
      } else {
        const message = details === "" ? statusName(code) : `${statusName(code)}, ${details}`;
        this.#span.setStatus({ code: SpanStatusCode.ERROR, message });
      }
    } catch (error) {
      warnOfSpanFailure(error);
    }
    try {
      const returned: unknown = this.#span.end(endTime);
      if (returned !== undefined) onRejection(returned, warnOfSpanFailure);
    } catch (error) {
      warnOfSpanFailure(error);
    }
  }
}

/** The name of a span of a method's call: `Sent.package.Service.Method` (gRFC A72). */
export function spanName(
  prefix: "Sent" | "Attempt" | "Recv",
  path: string,
): string {
  return `${prefix}.${path.replace(/^\//, "").replaceAll("/", ".")}`;
}
