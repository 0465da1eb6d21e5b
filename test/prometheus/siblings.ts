// Started by siblings.test.ts: two siblings listen at once, and each reports its URL or its error.
// In a cluster, the sibling that listens is then killed, and a third one takes its place.
import cluster from "node:cluster";
import { fork } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { PrometheusReader, startScrapeEndpoint } from "../../prometheus/mod.ts";

const FILE = new URL(import.meta.url);
const [kind, hosts = "", port = "", certificate, key] = process.argv.slice(2);

/** Runs a sibling. */
async function listen(host: string): Promise<string> {
  const reader = new PrometheusReader();
  new MeterProvider({ readers: [reader] });
  const tls = certificate && key ? { certificate, key } : undefined;
  try {
    return (await startScrapeEndpoint({ reader, host, port: Number(port), tls })).url;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

interface Sibling {
  /** Resolves to what it reports. */
  readonly report: Promise<string>;
  /** Ends it without giving it time to clean up. */
  kill(): Promise<unknown>;
}

function start(host: string): Sibling {
  if (kind === "cluster") {
    const worker = cluster.fork({ TEST_HOST: host });
    return {
      report: once(worker, "message").then(([message]) => message),
      kill: () => (worker.process.kill("SIGKILL"), once(worker, "exit")),
    };
  }
  if (kind === "fork") {
    const child = fork(FILE.pathname, process.argv.slice(2), {
      env: { ...process.env, TEST_HOST: host },
    });
    return {
      report: once(child, "message").then(([message]) => message),
      kill: () => (child.kill("SIGKILL"), once(child, "exit")),
    };
  }
  const thread = new Worker(FILE, { argv: process.argv.slice(2), env: { TEST_HOST: host } });
  return {
    report: once(thread, "message").then(([message]) => message),
    kill: () => thread.terminate(),
  };
}

const ownHost = process.env["TEST_HOST"];
if (ownHost === undefined) {
  const siblings = hosts.split(",").map(start);
  const reports = await Promise.all(siblings.map(({ report }) => report));
  const winner = reports.findIndex((report) => report.startsWith("http"));
  await siblings[winner]?.kill();
  const heir = start(hosts.split(",")[winner]!);
  console.log(JSON.stringify([...reports, await heir.report]));
  await Promise.all([...siblings.filter((_, i) => i !== winner), heir].map(({ kill }) => kill()));
  process.exit(0);
}
const report = await listen(ownHost);
if (isMainThread) process.send!(report);
else parentPort!.postMessage(report);
// A sibling without a listener stays alive too, until it is killed.
setInterval(() => {}, 60_000);
