/**
 * Throughput of unary calls with the plugin on both sides and without, on each runtime. The two
 * take turns, and each pair of neighbouring runs gives one ratio; the median is what counts.
 *
 * Usage: `node bench/throughput.ts [ROUNDS] [SECONDS]`
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const RUNTIMES = { bun: ["bun", "run"], deno: ["deno", "run", "-A", "--quiet"], node: ["node"] };
const rounds = Number(process.argv[2] ?? 5);
const seconds = Number(process.argv[3] ?? 2);

console.log(`Unary echo, 50 concurrent, ${rounds} rounds of ${seconds} s, median (min to max)\n`);
for (const [runtime, command] of Object.entries(RUNTIMES)) {
  const bare: number[] = [];
  const plugin: number[] = [];
  for (let round = 0; round < rounds; round++) {
    // Whichever goes first gains or loses by it: they take turns at that as well.
    const order = round % 2 === 0 ? [bare, plugin] : [plugin, bare];
    for (const results of order) {
      results.push(await measure(command, results === bare ? "bare" : "plugin"));
    }
  }
  const ratios = plugin.map((qps, round) => qps / bare[round]!);
  console.log(
    `${runtime.padEnd(5)} without ${spread(bare, 0)} calls/s  with ${spread(plugin, 0)} calls/s  ` +
      `ratio ${spread(ratios, 3)}`,
  );
}

/** One run of a fresh server and a fresh client; calls per second. */
async function measure(command: readonly string[], variant: "bare" | "plugin"): Promise<number> {
  const server = start(command, "server.ts", variant);
  try {
    const port = await firstLine(server);
    return Number(await firstLine(start(command, "client.ts", variant, port, `${seconds}`)));
  } finally {
    server.kill();
    await once(server, "exit");
  }
}

function start([program = "", ...args]: readonly string[], script: string, ...rest: string[]) {
  const path = fileURLToPath(new URL(script, import.meta.url));
  return spawn(program, [...args, path, ...rest], { stdio: ["ignore", "pipe", "inherit"] });
}

async function firstLine(child: ChildProcess): Promise<string> {
  const [data] = await once(child.stdout!, "data");
  return String(data).trim();
}

function spread(values: readonly number[], digits: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  const [min, median, max] = [sorted[0], sorted[Math.floor(sorted.length / 2)], sorted.at(-1)]
    .map((value) => value!.toFixed(digits));
  return `${median} (${min} to ${max})`;
}
