import type { TextMapPropagator } from "@opentelemetry/api";
import {
  CompositePropagator,
  ExportResultCode,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";
import type { Resource } from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ConsoleSpanExporter,
  ParentBasedSampler,
  SimpleSpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { ReadableSpan, Sampler, SpanExporter } from "@opentelemetry/sdk-trace";
import { withoutOutputErrors } from "../log/output.ts";
import { GrpcTraceBinPropagator } from "../plugin/mod.ts";
import { ensureContextManager } from "./context-manager.ts";
import { startSpanExporter } from "./otlp/start-exporter.ts";
import type { RunningExporter } from "./otlp/start-exporter.ts";
import type { PropagatorName, SamplerName, Settings } from "./settings/variables.ts";

/** Running traces. */
export interface Traces {
  readonly tracerProvider: TracerProvider;
  readonly textMapPropagator: TextMapPropagator;
  /** Where the spans go, in words for a log line. */
  readonly endpoint: string;
  /** Stops what the provider's own shutdown does not stop. */
  close(): void;
  /** Returns a log line about spans that are lost if the process ends now. */
  undelivered(): string | undefined;
}

/**
 * Starts traces: a `TracerProvider` whose spans go to a Collector in batches, up to 5 seconds after
 * they end, or to standard output when they end.
 *
 * It sets the global context manager, unless there is one already, so that a call made in a handler
 * finds the handler's span.
 */
export async function startTraces(settings: Settings, resource: Resource): Promise<Traces> {
  const exporters = settings.OTEL_TRACES_EXPORTER;
  const otlp = exporters.includes("otlp") ? await startSpanExporter(settings) : undefined;
  const toConsole = exporters.includes("console");
  ensureContextManager();
  const tracerProvider = new TracerProvider({
    resource,
    sampler: createSampler(settings.OTEL_TRACES_SAMPLER, settings.OTEL_TRACES_SAMPLER_ARG),
    spanProcessors: [
      ...(otlp ? [createBatchProcessor(otlp)] : []),
      ...(toConsole ? [new SimpleSpanProcessor({ exporter: new SpanPrinter() })] : []),
    ],
  });
  return {
    tracerProvider,
    textMapPropagator: await createPropagator(settings.OTEL_PROPAGATORS),
    endpoint: [otlp?.endpoint, toConsole && "standard output"].filter(Boolean).join(", "),
    close: () => otlp?.close(),
    undelivered: () => otlp?.exporter.undelivered(),
  };
}

/** The exporter gives up before the processor does, because it knows the reason. */
function createBatchProcessor(
  { exporter, deliveryMs }: RunningExporter<ReadableSpan[]>,
): BatchSpanProcessor {
  return new BatchSpanProcessor({ exporter, exportTimeoutMillis: deliveryMs + 1000 });
}

/** Creates a sampler; `ratio`, from 0 to 1, is for those with `traceidratio` in their names. */
function createSampler(name: SamplerName, ratio: number): Sampler {
  const root = rootSampler(name.replace("parentbased_", ""), ratio);
  return name.startsWith("parentbased_") ? new ParentBasedSampler({ root }) : root;
}

function rootSampler(name: string, ratio: number): Sampler {
  if (name === "traceidratio") return new TraceIdRatioBasedSampler(ratio);
  return name === "always_on" ? new AlwaysOnSampler() : new AlwaysOffSampler();
}

/** Creates one propagator for several names; `none` gives one that does nothing. */
async function createPropagator(names: readonly PropagatorName[]): Promise<TextMapPropagator> {
  const propagators = await Promise.all(names.filter((name) => name !== "none").map(propagator));
  return new CompositePropagator({ propagators });
}

async function propagator(name: Exclude<PropagatorName, "none">): Promise<TextMapPropagator> {
  switch (name) {
    case "tracecontext":
      return new W3CTraceContextPropagator();
    case "baggage":
      return new W3CBaggagePropagator();
    case "grpc-trace-bin":
      return new GrpcTraceBinPropagator();
    case "b3":
    case "b3multi": {
      // Loaded only here, so that other programs start faster.
      const { B3InjectEncoding, B3Propagator } = await import("@opentelemetry/propagator-b3");
      const { SINGLE_HEADER, MULTI_HEADER } = B3InjectEncoding;
      return new B3Propagator({ injectEncoding: name === "b3" ? SINGLE_HEADER : MULTI_HEADER });
    }
  }
}

/** Prints spans; they are lost if standard output cannot be written to. */
class SpanPrinter extends ConsoleSpanExporter {
  override export(spans: ReadableSpan[], done: Parameters<SpanExporter["export"]>[1]): void {
    withoutOutputErrors(process.stdout, () => super.export(spans, () => {}));
    done({ code: ExportResultCode.SUCCESS });
  }
}
