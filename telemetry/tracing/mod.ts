/**
 * Makes traces: a `TracerProvider` of the SDK with what `OTEL_TRACES_SAMPLER` and `OTEL_PROPAGATORS`
 * name. It is loaded only where traces are made.
 *
 * @module
 */
import { context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { ExportResultCode } from "@opentelemetry/core";
import type { Resource } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ConsoleSpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";
import { withoutOutputErrors } from "../../log/output.ts";
import type { SamplerName } from "../settings/variables.ts";
import { createSampler } from "./sampler.ts";

export { createPropagator } from "./propagator.ts";

export interface TracingOptions {
  readonly resource: Resource;
  readonly sampler: SamplerName;
  /** The share of traces to record, from 0 to 1, for samplers that take it. */
  readonly ratio: number;
  /** Takes spans in batches, up to 5 seconds after they ended. */
  readonly exporter: SpanExporter | undefined;
  /** Whether each span is printed on standard output when it ends. */
  readonly toConsole: boolean;
}

/**
 * Creates a provider, and sees to it that a call made in a handler finds the handler's span: it sets
 * the global context manager, unless there is one already.
 */
export function createTracerProvider(options: TracingOptions): TracerProvider {
  const { resource, sampler, ratio, exporter, toConsole } = options;
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  return new TracerProvider({
    resource,
    sampler: createSampler(sampler, ratio),
    spanProcessors: [
      ...(exporter ? [new BatchSpanProcessor({ exporter })] : []),
      ...(toConsole ? [new SimpleSpanProcessor({ exporter: new SpanPrinter() })] : []),
    ],
  });
}

/** Prints spans; what cannot be printed is lost. */
class SpanPrinter extends ConsoleSpanExporter {
  override export(spans: ReadableSpan[], done: Parameters<SpanExporter["export"]>[1]): void {
    withoutOutputErrors(process.stdout, () => super.export(spans, () => {}));
    done({ code: ExportResultCode.SUCCESS });
  }
}
