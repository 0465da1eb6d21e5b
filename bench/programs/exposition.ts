/**
 * Measures the time from the collection of 1,000 label sets to the complete body of a scrape:
 * `exposition.ts ours|protobuf|native|stock|prom-client`. Every label set gets a new value before
 * each of them.
 *
 * @module
 */
import type { Histogram } from "@opentelemetry/api";
import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { AggregationType, MeterProvider } from "@opentelemetry/sdk-metrics";
import type { MeterProviderOptions } from "@opentelemetry/sdk-metrics";
import { FamilyCatalog } from "../../prometheus/families/families.ts";
import { PrometheusReader } from "../../prometheus/mod.ts";
import { renderProtobufSlices } from "../../prometheus/protobuf/render.ts";
import { PROMETHEUS_TEXT, renderSlices } from "../../prometheus/text/render.ts";
import { requirePeer } from "../peers/packages.ts";
import type { PromClient } from "../peers/packages.ts";
import { answerCommands } from "./commands.ts";
import { ATTRIBUTES, HISTOGRAM, sampleSeconds } from "./scraped-histogram.ts";

type Body = string | Uint8Array;

/** A library that records and makes the body of a scrape. */
interface Subject {
  record(): void;
  text(): Promise<Body>;
}

/** Combines the OpenTelemetry SDK with a serializer. */
function sdk(
  serialize: (collected: Collected) => Body,
  views: NonNullable<MeterProviderOptions["views"]> = [],
): Subject {
  const reader = new PrometheusReader();
  const meter = new MeterProvider({ readers: [reader], views }).getMeter("bench");
  const histogram: Histogram = meter.createHistogram(HISTOGRAM.name, HISTOGRAM);
  return {
    record: () => ATTRIBUTES.forEach((labels, i) => histogram.record(sampleSeconds(i), labels)),
    text: async () => serialize((await reader.collect()).resourceMetrics),
  };
}

type Collected = Awaited<ReturnType<PrometheusReader["collect"]>>["resourceMetrics"];

function ours(): Subject {
  const catalog = new FamilyCatalog();
  return sdk((collected) =>
    [...renderSlices(catalog.families(collected), PROMETHEUS_TEXT)].join("")
  );
}

/** Makes protobuf, of histograms with bounds unless views change that. */
function protobuf(views?: MeterProviderOptions["views"]): Subject {
  const catalog = new FamilyCatalog();
  return sdk(
    (collected) => Buffer.concat([...renderProtobufSlices(catalog.families(collected))]),
    views,
  );
}

function native(): Subject {
  return protobuf([{
    instrumentName: HISTOGRAM.name,
    aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM },
  }]);
}

function stock(): Subject {
  const serializer = new PrometheusSerializer();
  return sdk((collected) => serializer.serialize(collected));
}

function promClient(): Subject {
  const { Histogram, register } = requirePeer("prom-client") as PromClient;
  const histogram = new Histogram({
    name: "bench_call_duration_seconds",
    help: HISTOGRAM.description,
    labelNames: ["grpc_method", "grpc_status"],
    buckets: HISTOGRAM.advice.explicitBucketBoundaries,
  });
  const labelSets = ATTRIBUTES.map((attributes) => ({
    grpc_method: attributes["grpc.method"]!,
    grpc_status: attributes["grpc.status"]!,
  }));
  return {
    record: () => labelSets.forEach((labels, i) => histogram.observe(labels, sampleSeconds(i))),
    text: () => register.metrics(),
  };
}

const create = new Map<string | undefined, () => Subject>([
  ["ours", ours],
  ["protobuf", () => protobuf()],
  ["native", native],
  ["stock", stock],
  ["prom-client", promClient],
]).get(process.argv[2]);
if (create === undefined) {
  throw new Error(`"${process.argv[2]}": must be ours, protobuf, native, stock or prom-client`);
}
const subject = create();

/** Matches sample lines. The stock serializer does not add the unit to the name. */
const SAMPLE_LINE = /^bench_call_duration(_seconds)?_(bucket|sum|count)\b/gm;

/** Returns the number of sample lines of a text, and of label sets in protobuf. */
function count(body: Body): number {
  if (typeof body === "string") return body.match(SAMPLE_LINE)?.length ?? 0;
  return new TextDecoder("latin1").decode(body).match(/grpc_method/g)?.length ?? 0;
}

/** Makes the body of a scrape, and returns its time in milliseconds and the number of its parts. */
async function text(): Promise<{ ms: number; parts: number }> {
  subject.record();
  const start = performance.now();
  const body = await subject.text();
  const ms = performance.now() - start;
  return { ms, parts: count(body) };
}
answerCommands(null, { text });
