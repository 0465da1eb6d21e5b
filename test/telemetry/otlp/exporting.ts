import type { Meter } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import type { ResourceMetrics, ViewOptions } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { createMetricExporter, createSpanExporter } from "../../../telemetry/otlp/exporters.ts";
import { METRICS, ReportingExporter, SPANS } from "../../../telemetry/otlp/reporting-exporter.ts";
import { PeriodicReader } from "../../../telemetry/periodic-reader.ts";
import type { OtlpProtocol } from "../../../telemetry/settings/variables.ts";
import type { LimitedReceiver } from "./limited-receiver.ts";

/** Longest time of an export in these tests. Deliveries take a fraction of it. */
const TIMEOUT_MS = 20_000;

const resource = resourceFromAttributes({ "service.name": "exporting" });

/** Keeps log lines, without their times. */
function linesOf(lines: string[]): (line: string) => void {
  return (line) => lines.push(line.replaceAll(/\d+\.\d s/g, "N s"));
}

/** Starts metrics that are delivered to a receiver whenever `deliver` is called. */
export async function exportingMetrics(
  receiver: Pick<LimitedReceiver, "url">,
  protocol: OtlpProtocol,
  views: ViewOptions[] = [],
) {
  process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.url;
  const lines: string[] = [];
  const exporter = new ReportingExporter<ResourceMetrics>(
    METRICS,
    await createMetricExporter(protocol, TIMEOUT_MS),
    "the Collector",
    TIMEOUT_MS,
    linesOf(lines),
  );
  const reader = new PeriodicReader({ exporter, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ resource, readers: [reader], views });
  return {
    lines,
    exporter,
    meterProvider,
    meter: meterProvider.getMeter("exporting", "1.0"),
    deliver: () => meterProvider.forceFlush(),
  };
}

/** Starts spans that are delivered to a receiver whenever `deliver` is called. */
export async function exportingSpans(
  receiver: Pick<LimitedReceiver, "url">,
  protocol: OtlpProtocol,
) {
  process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.url;
  const lines: string[] = [];
  const exporter = new ReportingExporter(
    SPANS,
    await createSpanExporter(protocol, TIMEOUT_MS),
    "the Collector",
    TIMEOUT_MS,
    linesOf(lines),
  );
  const processor = new BatchSpanProcessor({ exporter, scheduledDelayMillis: 3_600_000 });
  const tracerProvider = new TracerProvider({ resource, spanProcessors: [processor] });
  return {
    lines,
    tracerProvider,
    tracer: tracerProvider.getTracer("exporting", "1.0"),
    deliver: () => tracerProvider.forceFlush(),
  };
}

/** The bounds of the latency histograms of gRPC (gRFC A66). */
const LATENCY_BOUNDS = [
  ...[0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005],
  ...[0.006, 0.008, 0.01, 0.013, 0.016, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13],
  ...[0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1, 2, 5, 10, 20, 50, 100],
];

/**
 * Records one value with each of the labels `0`, `1` and so on, in a histogram.
 *
 * @param suffix makes each label longer
 */
export function recordLabels(meter: Meter, name: string, labels: number, suffix = ""): void {
  const histogram = meter.createHistogram(name, {
    advice: { explicitBucketBoundaries: LATENCY_BOUNDS },
  });
  for (let i = 0; i < labels; i++) {
    histogram.record(0.0123456789, { "grpc.method": `${i}${suffix}`, "grpc.status": "OK" });
  }
}

/** A data point in OTLP/JSON. */
interface JsonPoint {
  readonly attributes: readonly { key: string; value: { stringValue?: string } }[];
}

interface JsonRequest {
  readonly resourceMetrics: readonly {
    readonly resource: { readonly attributes: JsonPoint["attributes"] };
    readonly scopeMetrics: readonly {
      readonly scope: { readonly name: string; readonly version?: string };
      readonly metrics: readonly {
        readonly name: string;
        readonly histogram?: { readonly dataPoints: readonly JsonPoint[] };
        readonly exponentialHistogram?: { readonly dataPoints: readonly JsonPoint[] };
        readonly sum?: { readonly dataPoints: readonly JsonPoint[] };
      }[];
    }[];
  }[];
}

/** Returns every series in requests of OTLP/JSON, with the resource's name and the scope's. */
export function seriesOf(requests: readonly Buffer[]): string[] {
  return requests.flatMap((body) => {
    const { resourceMetrics } = JSON.parse(body.toString()) as JsonRequest;
    return resourceMetrics.flatMap(({ resource, scopeMetrics }) =>
      scopeMetrics.flatMap(({ scope, metrics }) =>
        metrics.flatMap(({ name, histogram, exponentialHistogram, sum }) =>
          (histogram ?? exponentialHistogram ?? sum)!.dataPoints.map(({ attributes }) => {
            const [service, ...labels] = [resource.attributes[0]!, ...attributes]
              .map(({ key, value }) => `${key}=${value.stringValue}`);
            return [service, scope.name, scope.version, name, ...labels].join(" ");
          })
        )
      )
    );
  });
}
