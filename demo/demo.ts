/**
 * The main job in one command: the Echo server under Bun, the client under Deno, ten replies, and
 * what both recorded, read from their `/metrics`. Stops both and exits with 0 if all went well.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { summaryTable } from "./table.ts";

const REPLIES = 10;

/** Every script that was started, so that none is left behind. */
const running: Script[] = [];

async function main(): Promise<void> {
  const echo = await freePort(50051);
  const server = new Script("server", ["bun", "run", "server.ts"], {
    ECHO_ADDR: `:${echo}`,
    ECHO_DELAY_MS: "200",
    OTEL_EXPORTER_PROMETHEUS_PORT: `${await freePort(9464)}`,
  });
  const serverMetrics = await server.find(/^Metrics at (.*)/);

  const client = new Script("client", ["deno", "run", "-A", "--quiet", "client.ts"], {
    ECHO_ADDR: `:${echo}`,
    ECHO_INTERVAL_MS: "100",
    OTEL_EXPORTER_PROMETHEUS_PORT: `${await freePort(9465)}`,
  });
  const clientMetrics = await client.find(/^Metrics at (.*)/);
  for (let i = 0; i < REPLIES; i++) await client.find(/^message:(.*)/);

  for (const [side, url] of [["client", clientMetrics], ["server", serverMetrics]] as const) {
    const response = await fetch(url);
    console.log(`\nThe ${side}'s gRPC metrics, from ${url}\n`);
    console.log(summaryTable(await response.text(), `grpc_${side}`));
  }
  console.log(
    "\nWhile the scripts run, open the two addresses above in a browser, " +
      "or let Prometheus scrape them.\n",
  );
  for (const script of [client, server]) await script.stop();
}

/** A script as a child process; its output is shown with its name in front. */
class Script {
  readonly #name: string;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(name: string, [command = "", ...args]: string[], environment: NodeJS.ProcessEnv) {
    this.#name = name;
    console.log(`$ ${[command, ...args].join(" ")}`);
    this.#process = spawn(command, args, {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...environment },
    });
    this.#lines = createInterface(this.#process.stdout!)[Symbol.asyncIterator]();
    running.push(this);
  }

  /** Shows lines until one matches, and returns its first group. */
  async find(pattern: RegExp): Promise<string> {
    while (true) {
      const { value: line, done } = await this.#lines.next();
      if (done) throw new Error(`the ${this.#name} stopped before it printed ${pattern}`);
      console.log(`${this.#name} | ${line}`);
      const match = pattern.exec(line);
      if (match) return match[1]!;
    }
  }

  /** Asks it to stop, as Ctrl-C does, and waits until it has. */
  async stop(): Promise<void> {
    const exit = once(this.#process, "exit");
    this.#process.kill("SIGINT");
    for await (const line of { [Symbol.asyncIterator]: () => this.#lines }) {
      console.log(`${this.#name} | ${line}`);
    }
    const [code] = await exit;
    if (code !== 0) throw new Error(`the ${this.#name} stopped with exit code ${code}`);
  }

  kill(): void {
    if (this.#process.exitCode === null) this.#process.kill("SIGKILL");
  }
}

/** The preferred TCP port, or any free one if that is taken. */
async function freePort(preferred: number): Promise<number> {
  for (const port of [preferred, 0]) {
    const probe = createServer().listen(port);
    try {
      await once(probe, "listening");
    } catch {
      continue;
    }
    const { port: free } = probe.address() as AddressInfo;
    probe.close();
    await once(probe, "close");
    return free;
  }
  throw new Error("no TCP port is free");
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  for (const script of running) script.kill();
}
