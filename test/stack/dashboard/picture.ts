/**
 * Takes the pictures of the dashboards, `stack/dashboards/*.webp`, from the real programs and the real
 * Prometheus:
 *
 * ```sh
 * node runtimes/run.mjs node test/stack/dashboard/picture.ts
 * ```
 *
 * It makes calls for as long as the dashboards show, which is half an hour; another number of minutes
 * may follow the command.
 *
 * @module
 */
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { PROJECT } from "../../support/script.ts";
import { chromium } from "../../tools.ts";
import { startBrowser } from "../graph-page.ts";
import type { Browser } from "../graph-page.ts";
import { realPrometheus } from "../programs.ts";
import { startCalls } from "../rules/all-calls.ts";
import { RunningPrometheus } from "../running-prometheus.ts";
import { draw } from "./drawing.ts";
import { drawOverview } from "./overview.ts";
import { readDashboard } from "./panels.ts";
import type { Panel } from "./panels.ts";
import { startTraffic } from "./traffic.ts";
import type { Jobs } from "./traffic.ts";
import { webPicture } from "./web-picture.ts";

/** The distance of points in a graph, as Grafana has it for half an hour. */
const STEP_S = 15;
const classic = readDashboard("grpc");
const native = readDashboard("grpc-native");
const seconds = process.argv[2] ? Number(process.argv[2]) * 60 : classic.seconds;
const cleanUps: (() => Promise<void>)[] = [];
const owner = { after: (cleanUp: () => Promise<void>) => void cleanUps.unshift(cleanUp) };

try {
  const [executable, prometheus] = await Promise.all([chromium(), realPrometheus()]);
  if (executable === undefined) throw new Error("Chromium is missing");
  if (prometheus === undefined) throw new Error("Prometheus is missing");
  const [traffic, nativeCalls] = await Promise.all([
    startTraffic(owner, seconds),
    startCalls(owner, true),
  ]);
  const [running, runningNative] = await Promise.all([
    startPrometheus(prometheus, traffic),
    startPrometheus(prometheus, nativeCalls.jobs),
  ]);
  console.log(`Making calls for ${seconds} s`);
  await delay(seconds * 1000);

  const browser = await startBrowser(owner, executable);
  await picture(browser, "grpc", classic.panels, running);
  // Only these differ from the other dashboard.
  const heatmaps = native.panels.filter(({ type }) => type === "heatmap")
    .map((panel, index) => ({ ...panel, gridPos: { x: 8 * index, y: 0, w: 8, h: 8 } }));
  await picture(browser, "grpc-native", heatmaps, runningNative);
} finally {
  for (const cleanUp of cleanUps) await cleanUp();
}

function startPrometheus(executable: string, jobs: Jobs): Promise<RunningPrometheus> {
  return RunningPrometheus.start(owner, executable, jobs, {
    // As in prometheus.yml.
    config: { global: { scrape_interval: "5s", evaluation_interval: "5s" } },
    flags: ["--enable-feature=native-histograms"],
  });
}

/** Saves the picture of panels, and prints what is missing in it. */
async function picture(
  browser: Browser,
  name: string,
  panels: readonly Panel[],
  prometheus: RunningPrometheus,
): Promise<void> {
  const end = Math.floor(Date.now() / 1000 / STEP_S) * STEP_S;
  const times = { start: end - seconds, end, step: STEP_S };
  const drawings = await draw(panels, (...query) => prometheus.range(...query), times);
  const path = `stack/dashboards/${name}.webp`;
  const { png, shown } = await drawOverview(browser, drawings);
  await writeFile(`${PROJECT}${path}`, await webPicture(browser, png));
  console.log(`${path} has ${shown.length} panels`);
  for (const { title, message, hidden } of shown) {
    if (message !== "") console.log(`${title}: ${message}`);
    if (hidden > 0) console.log(`${title}: ${hidden} entries of the legend are not visible`);
  }
}
