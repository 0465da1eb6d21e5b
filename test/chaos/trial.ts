/**
 * Tries versions of the runtimes other than the pinned ones. Checks that each runs the scripts as a
 * server and as a client, with the pinned versions as peers, and that it survives connections that
 * end. Installs the versions from npm into a temporary folder, and prints a row of a Markdown table
 * for each.
 *
 *     node runtimes/run.mjs node test/chaos/trial.ts deno@2.9.6 bun@1.3.14
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { bidi, clientStream, serverStream, statusOf, unary } from "../conformance/calls.ts";
import { echoClient, echoHandlers, echoService, listen } from "../support/echo.ts";
import { scrape } from "../support/scrape.ts";
import { run, RUNTIMES, Script, startClient, startServer } from "../support/script.ts";
import type { Environment, Owner } from "../support/script.ts";
import { isRunning } from "./proc.ts";

/** How many servers, and how many clients, of a version are tried. */
const LIVES = 5;
/** How many connections end in the lifetime of each. */
const CONNECTIONS = 20;
/** The age at which a server ends a client's connection. */
const CONNECTION_AGE_MS = 200;
/** The number of calls of each kind over a connection. */
const CALLS = 25;
const METHODS = [
  "UnaryEcho",
  "ServerStreamingEcho",
  "ClientStreamingEcho",
  "BidirectionalStreamingEcho",
];
const ANY_PORTS: Environment = { ECHO_ADDR: "127.0.0.1:0", OTEL_EXPORTER_PROMETHEUS_PORT: "0" };

/** A version under trial. */
interface Candidate {
  /** Returns the command that runs a script of the project. */
  readonly command: (file: string) => string[];
  readonly asServer: Outcome;
  readonly asClient: Outcome;
}

/** What went wrong, in words. */
interface Outcome {
  readonly failures: string[];
  /** How processes died. */
  readonly deaths: string[];
}

console.log("| | as a server | as a client |\n| --- | --- | --- |");
for (const version of process.argv.slice(2)) {
  const folder = await mkdtemp(join(tmpdir(), "trial-"));
  const { asServer, asClient } = await tryOut(version, folder);
  console.log(`| ${version.replace("@", " ")} | ${inWords(asServer)} | ${inWords(asClient)} |`);
  await rm(folder, { recursive: true });
}
process.exit(0);

async function tryOut(version: string, folder: string): Promise<Candidate> {
  const runtime = RUNTIMES.find((name) => version.startsWith(`${name}@`));
  if (runtime === undefined) throw new Error(`${version}: not one of ${RUNTIMES.join(", ")}`);
  await promisify(execFile)("npm", ["install", "--prefix", folder, "--no-audit", version]);
  const candidate: Candidate = {
    command(file) {
      const [program = "", ...args] = run(runtime, file);
      return [join(folder, "node_modules/.bin", program), ...args];
    },
    asServer: { failures: [], deaths: [] },
    asClient: { failures: [], deaths: [] },
  };
  for (let life = 0; life < LIVES; life++) {
    await withOwner((owner) => serve(owner, candidate, life === 0));
    await withOwner((owner) => outliveConnections(owner, candidate));
  }
  for (const peer of RUNTIMES) {
    await withOwner(async (owner) => {
      const { address } = await startServer(owner, peer);
      for (const method of METHODS) {
        const script = new Script(owner, candidate.command("client.ts"), {
          environment: { ...ANY_PORTS, ...callsOf(method, address) },
        });
        if (await script.exit() !== 0) candidate.asClient.failures.push(`${method} to ${peer}`);
      }
    });
  }
  return candidate;
}

/**
 * Runs a server that serves one connection after another, each of which its client closes (GOAWAY).
 *
 * @param scripts Whether `client.ts` on each runtime calls it too.
 */
async function serve(
  owner: Owner,
  { command, asServer }: Candidate,
  scripts: boolean,
): Promise<void> {
  const server = new Script(owner, command("server.ts"), {
    environment: { ...ANY_PORTS, ECHO_DELAY_MS: "0" },
  });
  await judge(server, asServer, async () => {
    const address = await server.printed(/^Serving on (.+)$/m);
    const metricsUrl = await server.printed(/^Metrics at (.+)$/m);
    const failures: string[] = [];
    let made = 0;
    for (let i = 0; i < CONNECTIONS && isRunning(server.pid); i++) made += await callAll(address);
    if (made < CONNECTIONS * CALLS * METHODS.length) failures.push("some calls fail");
    for (const peer of scripts ? RUNTIMES : []) {
      for (const method of METHODS) {
        const { script } = await startClient(owner, peer, callsOf(method, address));
        if (await script.exit() !== 0) failures.push(`${method} from ${peer}`);
        made += CALLS;
      }
    }
    const counted = succeededOf(await scrape(metricsUrl));
    if (counted !== made) failures.push(`${made} calls, ${counted} counted`);
    if (await server.stop() !== 0) failures.push("does not stop cleanly");
    return failures;
  });
}

/** Makes calls of all kinds and closes the connection. Resolves with how many calls succeeded. */
async function callAll(address: string): Promise<number> {
  const client = echoClient(address, {});
  const settings = { options: { deadline: Date.now() + 5000 } };
  let succeeded = 0;
  for (let i = 0; i < CALLS; i++) {
    const requests = clientStream(client, settings);
    const both = bidi(client, settings);
    for (const { call } of [requests, { call: both }]) {
      call.write({ message: "text" });
      call.end();
    }
    const statuses = await Promise.all([
      unary(client, settings),
      statusOf(serverStream(client, settings)),
      requests.ended,
      statusOf(both),
    ]);
    succeeded += statuses.filter((status) => status === "OK").length;
  }
  client.close();
  return succeeded;
}

/** Runs a client that calls a server which keeps ending its connections (GOAWAY). */
async function outliveConnections(owner: Owner, { command, asClient }: Candidate): Promise<void> {
  const server = new grpc.Server({
    "grpc.max_connection_age_ms": CONNECTION_AGE_MS,
    "grpc.max_connection_age_grace_ms": 1000,
  });
  server.addService(echoService, echoHandlers);
  const port = await listen(server);
  owner.after(() => {
    server.forceShutdown();
    return Promise.resolve();
  });
  const client = new Script(owner, command("client.ts"), {
    environment: {
      ...ANY_PORTS,
      ECHO_ADDR: `127.0.0.1:${port}`,
      ECHO_QPS: "500",
      ECHO_DURATION_S: `${(CONNECTIONS * CONNECTION_AGE_MS) / 1000}`,
    },
  });
  await judge(client, asClient, async () => {
    const code = await client.exit();
    const [calls, succeeded] = ["Calls", "Succeeded"].map((name) =>
      Number(new RegExp(`^ +${name} +(\\d+)$`, "m").exec(client.stdout)?.[1])
    );
    if (code !== 0 || calls === undefined) return ["ends"];
    return calls === succeeded ? [] : ["some calls fail"];
  });
}

/** The variables of a client that makes {@link CALLS} calls of a method. */
function callsOf(method: string, address: string): Environment {
  return {
    ECHO_ADDR: address,
    ECHO_METHOD: method,
    ECHO_COUNT: `${CALLS}`,
    ECHO_INTERVAL_MS: "0",
  };
}

/** The number of successful calls in a server's metrics. */
function succeededOf(metrics: string): number {
  const counts = metrics.matchAll(
    /^grpc_server_call_duration_seconds_count\{.*grpc_status="OK".*\} (\d+)$/gm,
  );
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Notes the failures that `work` finds in a script, or how the script died. */
async function judge(
  script: Script,
  { failures, deaths }: Outcome,
  work: () => Promise<string[]>,
): Promise<void> {
  const found = await work().catch((error: Error) => [error.message.split("\n")[0]!]);
  if (found.length === 0) return;
  const how = isRunning(script.pid) ? 0 : await script.exit();
  if (how === 0) failures.push(...found);
  else deaths.push([how, ...script.stderr.trim().split("\n").slice(-1)].join(": "));
}

/** Runs `work` and then its cleanups, the last one first. */
async function withOwner(work: (owner: Owner) => Promise<void>): Promise<void> {
  const cleanUps: (() => Promise<void>)[] = [];
  try {
    await work({ after: (cleanUp) => cleanUps.push(cleanUp) });
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  }
}

function inWords({ failures, deaths }: Outcome): string {
  const counts = new Map<string, number>();
  for (const words of [...deaths.map((how) => `dies (${how})`), ...failures]) {
    counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  return [...counts].map(([words, count]) => `${words}, ${count} of ${LIVES}`).join("; ") || "yes";
}
