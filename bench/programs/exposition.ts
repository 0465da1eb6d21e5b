/**
 * Makes the text of a scrape of 1,000 label sets, from the collection to the whole text:
 * `exposition.ts ours|stock|prom-client`. Before each one every label set gets a new value.
 */
import type { Histogram } from "@opentelemetry/api";
import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { FamilyCatalog } from "../../prometheus/text/families.ts";
import { PrometheusReader } from "../../prometheus/mod.ts";
import { PROMETHEUS_TEXT, renderSlices } from "../../prometheus/text/text.ts";
import type { PromClient } from "../peers/prom-client-types.ts";
import { requirePeer } from "../peers/packages.ts";
import { answerCommands } from "./commands.ts";
import { ATTRIBUTES, HISTOGRAM, value } from "./scraped-histogram.ts";

interface Subject {
  record(): void;
  text(): Promise<string>;
}

/** The SDK, and what makes text of what it collects. */
function sdk(serialize: (collected: Collected) => string): Subject {
  const reader = new PrometheusReader();
  const meter = new MeterProvider({ readers: [reader] }).getMeter("bench");
  const histogram: Histogram = meter.createHistogram(HISTOGRAM.name, HISTOGRAM);
  return {
    record: () => ATTRIBUTES.forEach((labels, i) => histogram.record(value(i), labels)),
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
    record: () => labelSets.forEach((labels, i) => histogram.observe(labels, value(i))),
    text: () => register.metrics(),
  };
}

const create = { ours, stock, "prom-client": promClient }[process.argv[2] ?? ""];
if (create === undefined) throw new Error(`there is no ${process.argv[2]}`);
const subject = create();

/** The stock serializer adds no unit to the name. */
const SAMPLE_LINE = /^bench_call_duration(_seconds)?_(bucket|sum|count)\b/gm;

/** What a text took, and how many lines of samples it has. */
async function text(): Promise<{ ms: number; lines: number }> {
  subject.record();
  const start = performance.now();
  const text = await subject.text();
  const ms = performance.now() - start;
  return { ms, lines: text.match(SAMPLE_LINE)?.length ?? 0 };
}
answerCommands(null, { text });
