import type { Results, RuntimeResults } from "./results.ts";
import type { MemorySample, Role } from "./worker-process.ts";

type Row = readonly [heading: string, cell: (results: RuntimeResults) => string];

const ROWS: readonly Row[] = [
  ["RPCs sent", ({ sent }) => `${sent}`],
  ["RPCs served", ({ served }) => `${served}`],
  ["clients killed", ({ clientsKilled }) => `${clientsKilled}`],
  ["servers killed", ({ serversKilled }) => `${serversKilled}`],
  ["servers' connections reset", ({ resets }) => `${resets}`],
  ["RPCs compared", ({ compared }) => `${compared}`],
  ["counts lost", ({ lost }) => `${lost}`],
  ["longest unavailability, server killed", ({ unavailableS }) => seconds(unavailableS)],
  ["longest unavailability, not killed", ({ unavailableAliveS }) => seconds(unavailableAliveS)],
  ["scrapes answered", ({ scrapes }) => `${scrapes}`],
  ["scrapes not answered", ({ scrapesFailed }) => `${scrapesFailed}`],
  ["longest time without a scrape", ({ withoutScrapeS }) => seconds(withoutScrapeS)],
  ["heap slope, server", ({ heapSlope }) => `${heapSlope.server.toFixed(2)} KB/s`],
  ["heap slope, client", ({ heapSlope }) => `${heapSlope.client.toFixed(2)} KB/s`],
  ["heap, server", ({ memory }) => growth(memory.server, "heap")],
  ["heap, client", ({ memory }) => growth(memory.client, "heap")],
  ["resident memory, server", ({ memory }) => growth(memory.server, "resident")],
  ["resident memory, client", ({ memory }) => growth(memory.client, "resident")],
  ["open files, servers", ({ files }) => filesOf(files, "server")],
  ["open files, clients", ({ files }) => filesOf(files, "client")],
];

/** Formats the results as a table for people. */
export function table(results: Results): string {
  const { runtimes, faults, scriptCalls, diskFilled, writesRefused } = results;
  const rows = [
    ["", ...runtimes.map(({ runtime }) => runtime)],
    ...ROWS.map(([heading, cell]) => [heading, ...runtimes.map(cell)]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ")
  );
  const injected = Object.entries(faults).map(([kind, count]) => `${kind} ${count}`);
  const total = Object.values(faults).reduce((sum, count) => sum + count, 0);
  return [
    ...lines,
    "",
    `Faults: ${total} (${injected.sort().join(", ")})`,
    diskFilled
      ? `Writes that the agent's full disk refused: ${writesRefused}`
      : "The disk was not filled: this needs root and a loop device",
    `Calls of the undisturbed client.ts to server.ts: ${scriptCalls}`,
  ].join("\n");
}

function seconds(seconds: number): string {
  return `${seconds.toFixed(1)} s`;
}

function growth(samples: readonly MemorySample[], of: "heap" | "resident"): string {
  return samples.map((sample) => `${(sample[of] / 1e6).toFixed(1)} MB`).join(" -> ");
}

function filesOf(files: RuntimeResults["files"], role: Role): string {
  return Object.entries(files).filter(([process]) => process.includes(role))
    .map(([, [start, end]]) => `${start} -> ${end}`).join(", ");
}
