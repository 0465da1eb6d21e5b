/**
 * `npm run stack`: server, client, Collector and Prometheus together, until Ctrl-C. The scripts push
 * to the Collector, which Prometheus scrapes; with `--pull`, Prometheus scrapes the scripts.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { collectorBinary } from "./collector/binary.ts";
import { ignoreOutputErrors } from "../log/output.ts";
import { startStack } from "./start.ts";
import type { StackUrls } from "./start.ts";
import { CODELAB_QUERIES, graphUrl, hasData } from "./queries.ts";
import { Service } from "./service.ts";

const USAGE = `Usage: npm run stack [-- --pull]

Starts server.ts, client.ts, the OpenTelemetry Collector and Prometheus, until Ctrl-C.
  --pull   Prometheus scrapes the scripts; without it they push to the Collector, which it scrapes

The scripts' environment variables have effect, such as ECHO_CONCURRENCY=10; see --help of server.ts.
`;
const NAME_WIDTH = "prometheus".length;
const FIRST_DATA_MS = 60_000;

/** What runs, in the order it was started. */
const services: Service[] = [];
/** Aborted by Ctrl-C and its like. */
const interruption = new AbortController();
/** Rejects when a part ends, which none does unless it is told to. */
let fail: (error: Error) => void;
const failure = new Promise<never>((_, reject) => fail = reject);

async function run(pull: boolean, folder: string): Promise<void> {
  const progress = { log: (line: string) => log("stack", line), signal: interruption.signal };
  const collector = pull ? undefined : await collectorBinary(progress);
  const urls = await startStack({ collector, folder, launch });
  log("stack", "everything runs; the first points will be in Prometheus in some 15 s");
  await firstData(urls.prometheus);
  for (const line of readyText(urls)) log("stack", line);
}

function launch(
  name: string,
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Service {
  interruption.signal.throwIfAborted();
  log("stack", `starting ${name}`);
  const service = new Service({ name, command, environment, log: (line) => log(name, line) });
  services.push(service);
  void service.ended.then((how) => {
    services.splice(services.indexOf(service), 1);
    fail(new Error(`${name} stopped by itself: ${how}`));
  });
  return service;
}

/** Waits until the graphs have something to show: the proof that all parts work together. */
async function firstData(prometheus: string): Promise<void> {
  const deadline = Date.now() + FIRST_DATA_MS;
  for (const query of CODELAB_QUERIES) {
    while (!(await hasData(prometheus, query))) {
      if (Date.now() > deadline) {
        throw new Error(`Prometheus has nothing for ${query} after ${FIRST_DATA_MS / 1000} s`);
      }
      await delay(500, undefined, { signal: interruption.signal });
    }
  }
}

function readyText({ prometheus, metrics }: StackUrls): string[] {
  return [
    "ready. Open in a browser:",
    ...CODELAB_QUERIES.flatMap((query) => [`  ${query}`, `    ${graphUrl(prometheus, query)}`]),
    `  what is scraped: ${prometheus}/targets`,
    `  the metrics themselves: ${metrics.join(" ")}`,
    "Ctrl-C stops everything",
  ];
}

/**
 * Stops what was started last first: the scripts' last metrics still find a Collector.
 *
 * @returns Whether every part ended as it should.
 */
async function stopAll(): Promise<boolean> {
  let clean = true;
  for (const service of services.toReversed()) {
    const how = await service.stop();
    // A part that is still starting may not have its own answer to Ctrl-C yet.
    if (how === "exit code 0" || how === "SIGINT") continue;
    log("stack", `${service.name} stopped with ${how}`);
    clean = false;
  }
  return clean;
}

function log(name: string, line: string): void {
  console.log(`${name.padEnd(NAME_WIDTH)} | ${line}`);
}

async function main(): Promise<void> {
  ignoreOutputErrors();
  const [argument, ...others] = process.argv.slice(2);
  if ((argument !== undefined && argument !== "--pull") || others.length > 0) {
    const help = argument === "--help";
    (help ? process.stdout : process.stderr).write(USAGE);
    process.exitCode = help ? 0 : 1;
    return;
  }
  const interrupted = new Promise<void>((resolve) => {
    interruption.signal.addEventListener("abort", () => resolve());
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => interruption.abort());
  }

  const folder = await mkdtemp(join(tmpdir(), "grpc-js-opentelemetry-stack-"));
  let failed = false;
  const work = run(argument === "--pull", folder).then(() => interrupted);
  try {
    await Promise.race([interrupted, failure, work]);
  } catch (error) {
    failed = true;
    log("stack", (error as Error).message);
  }
  log("stack", "stopping");
  // No part is started from now on.
  interruption.abort();
  const clean = await stopAll();
  await rm(folder, { recursive: true, force: true });
  process.exitCode = failed || !clean ? 1 : 0;
  log("stack", "stopped");
}

await main();
