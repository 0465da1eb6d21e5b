/**
 * `npm run stack`: runs server, client, Collector and Prometheus together until Ctrl-C. The scripts
 * push to the Collector, and Prometheus scrapes the Collector. With `--pull`, Prometheus scrapes
 * the scripts. With `--storage`, Prometheus forwards everything to VictoriaMetrics.
 *
 * @module
 */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ignoreOutputErrors } from "../log/output.ts";
import { onStopSignal } from "../log/stop-signals.ts";
import { collectorBinary } from "./collector/binary.ts";
import { missingPrometheus } from "./prometheus-command.ts";
import { CODELAB_QUERIES, graphUrl, hasData, resultUrl, targetsUrl } from "./queries.ts";
import { Service } from "./service.ts";
import { startStack } from "./start.ts";
import type { StackUrls } from "./start.ts";

const USAGE = `Usage: npm run stack [-- --pull --storage]

Starts server.ts, client.ts, the OpenTelemetry Collector and Prometheus, until Ctrl-C. Goes on
without those that are missing, and says how to get them.
  --pull      Prometheus scrapes the scripts. Without it, they push to the Collector.
  --storage   Prometheus forwards everything to VictoriaMetrics.

The scripts read their environment variables, for example ECHO_CONCURRENCY=10. For a list, run
server.ts or client.ts with --help.
`;
/** The options, which the user may combine. */
interface Choice {
  readonly pull: boolean;
  readonly storage: boolean;
}

const DASHBOARD = "stack/dashboards/grpc.json";
const INTERPOLATION =
  "calls of 2 s read as 3.5 s: Prometheus interpolates within a bucket, here from 2 to 5 s";
const [MEDIAN_QUERY] = CODELAB_QUERIES;
/** What a script prints of its exporters. A browser cannot open all of these addresses. */
const EXPORTERS = /^(Metrics|Traces) at /;
const NAME_WIDTH = "prometheus".length;
const FIRST_DATA_MS = 60_000;

/** Running services in the order of their start. */
const services: Service[] = [];
/** Whether only errors are shown, so that the links stay in sight. */
let quiet = false;
/** What is missing here, and what to do about it. */
const gaps: string[] = [];
/** Aborted by Ctrl-C and other signals to stop. */
const interruption = new AbortController();
/** Rejects when a service ends that was not told to. */
let fail: (error: Error) => void;
const failure = new Promise<never>((_, reject) => fail = reject);

async function run({ pull, storage }: Choice, folder: string): Promise<void> {
  const withoutPrometheus = await missingPrometheus();
  if (withoutPrometheus !== undefined) {
    if (storage) throw new Error(withoutPrometheus);
    goOnWithout(withoutPrometheus, "the scripts run alone, and their live pages show the figures");
  }
  const prometheus = withoutPrometheus === undefined;
  // Nothing else would read what the Collector has.
  const collector = pull || !prometheus ? undefined : await findCollector();
  const urls = await startStack({ collector, prometheus, storage, folder, launch });
  if (urls.prometheus !== undefined) {
    log("stack", "everything runs; Prometheus has the first data in about 15 s");
    await waitForData("Prometheus", urls.prometheus);
  }
  if (urls.storage !== undefined) await waitForData("VictoriaMetrics", urls.storage);
  const lines = await readyText(urls);
  quiet = true;
  for (const line of lines) log("stack", line);
}

/** Returns the path of the Collector; undefined if it is missing and cannot be built. */
async function findCollector(): Promise<string | undefined> {
  const { signal } = interruption;
  try {
    return await collectorBinary({ log: (line) => log("stack", line), signal });
  } catch (error) {
    signal.throwIfAborted();
    goOnWithout((error as Error).message, "Prometheus scrapes the scripts, as with --pull");
    return undefined;
  }
}

/** Reports a program that is missing, now and again with the links. */
function goOnWithout(reason: string, consequence: string): void {
  for (const line of reason.split("\n")) log("stack", line);
  log("stack", `going on without it: ${consequence}`);
  const [first = ""] = reason.split("\n", 1);
  gaps.push(`${first.replace(/\.$/, "")}. Until then, ${consequence}`);
}

function launch(
  name: string,
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Service {
  interruption.signal.throwIfAborted();
  log("stack", `starting ${name}`);
  const show = (line: string, output: string) => {
    if (output === "stderr" || !quiet && !EXPORTERS.test(line)) log(name, line);
  };
  const service = new Service({ name, command, environment, log: show });
  services.push(service);
  void service.ended.then((how) => {
    services.splice(services.indexOf(service), 1);
    fail(new Error(`${name} stopped by itself: ${how}`));
  });
  return service;
}

/** Waits until the queries have results, which proves that all services work together. */
async function waitForData(name: string, url: string): Promise<void> {
  const deadline = Date.now() + FIRST_DATA_MS;
  for (const query of CODELAB_QUERIES) {
    while (!(await hasData(url, query))) {
      if (Date.now() > deadline) {
        throw new Error(`${name} has nothing for ${query} after ${FIRST_DATA_MS / 1000} s`);
      }
      await delay(500, undefined, { signal: interruption.signal });
    }
  }
}

async function readyText({ prometheus, storage, metrics, pages }: StackUrls): Promise<string[]> {
  return [
    "ready. From now on, only errors are shown. Open in a browser:",
    `  live pages: ${pages.server} (server) ${pages.client} (client)`,
    `  metrics: ${metrics.join(" ")}`,
    ...(prometheus === undefined ? [] : [
      ...CODELAB_QUERIES.flatMap((query) => [
        `  ${query}`,
        `    ${graphUrl(prometheus, query)}`,
        ...(query === MEDIAN_QUERY ? [`    ${INTERPOLATION}`] : []),
      ]),
      ...(storage === undefined ? [] : [
        "  the same from VictoriaMetrics, as JSON:",
        ...CODELAB_QUERIES.map((query) => `    ${resultUrl(storage, query)}`),
      ]),
      `  scrape targets: ${await targetsUrl(prometheus)}`,
    ]),
    `  dashboard for Grafana: ${DASHBOARD}`,
    ...gaps.map((gap) => `  ${gap}`),
    "Ctrl-C stops everything",
  ];
}

/**
 * Stops the services in reverse order, so that the Collector still receives the scripts' last
 * metrics.
 *
 * @returns Whether every service ended cleanly.
 */
async function stopAll(): Promise<boolean> {
  let clean = true;
  for (const service of services.toReversed()) {
    const how = await service.stop();
    // A service that is still starting may not handle SIGINT yet.
    if (how === "exit code 0" || how === "SIGINT") continue;
    log("stack", `${service.name} stopped with ${how}`);
    clean = false;
  }
  return clean;
}

function log(name: string, line: string): void {
  console.log(`${name.padEnd(NAME_WIDTH)} | ${line}`);
}

/** Returns what the arguments ask for; undefined if one is unknown or repeated. */
function chosen(args: readonly string[]): Choice | undefined {
  const given = new Set(args);
  const choice = { pull: given.delete("--pull"), storage: given.delete("--storage") };
  const known = Number(choice.pull) + Number(choice.storage);
  return given.size === 0 && known === args.length ? choice : undefined;
}

async function main(): Promise<void> {
  ignoreOutputErrors();
  const choice = chosen(process.argv.slice(2));
  if (choice === undefined) {
    const help = process.argv[2] === "--help";
    (help ? process.stdout : process.stderr).write(USAGE);
    process.exitCode = help ? 0 : 1;
    return;
  }
  const interrupted = new Promise<void>((resolve) => {
    interruption.signal.addEventListener("abort", () => resolve());
  });
  onStopSignal(
    () => interruption.abort(),
    () => `${services.map(({ name }) => name).join(", ")} killed, the latest metrics not delivered`,
    ["SIGINT", "SIGTERM", "SIGHUP"],
  );

  const folder = await mkdtemp(join(tmpdir(), "grpc-js-opentelemetry-stack-"));
  // The services are killed by then.
  process.on("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  let failed = false;
  const work = run(choice, folder).then(() => interrupted);
  try {
    await Promise.race([interrupted, failure, work]);
  } catch (error) {
    failed = true;
    log("stack", (error as Error).message);
  }
  quiet = false;
  log("stack", "stopping");
  // Prevents further starts.
  interruption.abort();
  const clean = await stopAll();
  process.exitCode = failed || !clean ? 1 : 0;
  log("stack", "stopped");
}

await main();
