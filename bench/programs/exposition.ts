/**
 * Measures the time from the collection of 1,000 label sets to the complete text of a scrape:
 * `exposition.ts ours|stock|prom-client`. Every label set gets a new value before each text.
 *
 * @module
 */
import type { Histogram } from "@opentelemetry/api";
import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { FamilyCatalog } from "../../prometheus/families/families.ts";
import { PrometheusReader } from "../../prometheus/mod.ts";
import { PROMETHEUS_TEXT, renderSlices } from "../../prometheus/text/render.ts";
import { requirePeer } from "../peers/packages.ts";
import type { PromClient } from "../peers/packages.ts";
import { answerCommands } from "./commands.ts";
import { ATTRIBUTES, HISTOGRAM, sampleSeconds } from "./scraped-histogram.ts";

/** A library that records and makes the text. */
interface Subject {
  record(): void;
  text(): Promise<string>;
}

/** Combines the OpenTelemetry SDK with a serializer. */
function sdk(serialize: (collected: Collected) => string): Subject {
  const reader = new PrometheusReader();
  const meter = new MeterProvider({ readers: [reader] }).getMeter("bench");
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

const create = { ours, stock, "prom-client": promClient }[process.argv[2] ?? ""];
if (create === undefined) {
  throw new Error(`"${process.argv[2]}": must be ours, stock or prom-client`);
}
const subject = create();

/** Matches sample lines. The stock serializer does not add the unit to the name. */
const SAMPLE_LINE = /^bench_call_duration(_seconds)?_(bucket|sum|count)\b/gm;

/** Makes a text and returns its time in milliseconds and its number of sample lines. */
async function text(): Promise<{ ms: number; lines: number }> {
  subject.record();
  const start = performance.now();
  const text = await subject.text();
  const ms = performance.now() - start;
  return { ms, lines: text.match(SAMPLE_LINE)?.length ?? 0 };
}
answerCommands(null, { text });
