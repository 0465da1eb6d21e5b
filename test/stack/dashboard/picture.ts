/**
 * Takes the pictures of the dashboards, `stack/dashboards/*.png`, from the real programs and the real
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
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { PROJECT } from "../../support/script.ts";
import { chromium } from "../../tools.ts";
import { startBrowser } from "../graph-page.ts";
import { realPrometheus } from "../programs.ts";
import { startCalls } from "../rules/all-calls.ts";
import { RunningPrometheus } from "../running-prometheus.ts";
import { draw } from "./drawing.ts";
import { drawOverview } from "./overview.ts";
import { readDashboard } from "./panels.ts";

/** The distance of points in a graph, as Grafana has it for half an hour. */
const STEP_S = 15;
const dashboards = { grpc: readDashboard("grpc"), "grpc-native": readDashboard("grpc-native") };
const seconds = process.argv[2] ? Number(process.argv[2]) * 60 : dashboards.grpc.seconds;
const cleanUps: (() => Promise<void>)[] = [];
const owner = { after: (cleanUp: () => Promise<void>) => void cleanUps.unshift(cleanUp) };

try {
  const [executable, prometheusExecutable] = await Promise.all([chromium(), realPrometheus()]);
  if (executable === undefined) throw new Error("Chromium is missing");
  if (prometheusExecutable === undefined) throw new Error("Prometheus is missing");
  const [classic, native] = await Promise.all([startCalls(owner), startCalls(owner, true)]);
  const start = (jobs: Readonly<Record<string, readonly string[]>>) =>
    RunningPrometheus.start(owner, prometheusExecutable, jobs, {
      config: { global: { scrape_interval: "5s", evaluation_interval: "5s" } },
      flags: ["--enable-feature=native-histograms"],
    });
  const prometheuses = { grpc: await start(classic.jobs), "grpc-native": await start(native.jobs) };
  console.log(`Making calls for ${seconds} s`);
  await delay(seconds * 1000);

  const browser = await startBrowser(owner, executable);
  const end = Math.floor(Date.now() / 1000 / STEP_S) * STEP_S;
  for (const name of ["grpc", "grpc-native"] as const) {
    const prometheus = prometheuses[name];
    const times = { start: end - seconds, end, step: STEP_S };
    const drawings = await draw(dashboards[name], (...query) => prometheus.range(...query), times);
    const path = `stack/dashboards/${name}.png`;
    const shown = await drawOverview(browser, drawings, `${PROJECT}${path}`);
    console.log(`${path} has ${shown.length} panels`);
    for (const { title, message, hidden } of shown) {
      if (message !== "") console.log(`${title}: ${message}`);
      if (hidden > 0) console.log(`${title}: ${hidden} entries of the legend are not visible`);
    }
  }
} finally {
  for (const cleanUp of cleanUps) await cleanUp();
}
