import type { Handles } from "./resources.ts";
import type { Results, RuntimeResults } from "./results.ts";

type Row = readonly [heading: string, cell: (results: RuntimeResults) => string];

const ROWS: readonly Row[] = [
  ["RPCs sent", ({ sent }) => `${sent}`],
  ["RPCs served", ({ served }) => `${served}`],
  ["clients killed", ({ clientsKilled }) => `${clientsKilled}`],
  ["servers killed", ({ serversKilled }) => `${serversKilled}`],
  ["servers' connections reset", ({ resets }) => `${resets}`],
  ["counts lost", ({ lost }) => `${lost}`],
  ["longest unavailability of a server", ({ unavailableS }) => `${unavailableS.toFixed(1)} s`],
  ["scrapes answered", ({ scrapes }) => `${scrapes}`],
  ["scrapes not answered", ({ scrapesFailed }) => `${scrapesFailed}`],
  [
    "longest time without a scrape",
    ({ withoutScrapeS }) => `${withoutScrapeS.toFixed(1)} s`,
  ],
  ["heap slope, server", ({ heapSlope }) => `${heapSlope.server.toFixed(2)} KB/s`],
  ["heap slope, client", ({ heapSlope }) => `${heapSlope.client.toFixed(2)} KB/s`],
  ["heap first and last, server", ({ heap }) => heap.server.map(megabytes).join(" -> ")],
  ["heap first and last, client", ({ heap }) => heap.client.map(megabytes).join(" -> ")],
  ["open files, servers", ({ handles }) => filesOf(handles, "server")],
  ["open files, clients", ({ handles }) => filesOf(handles, "client")],
];

/** The results as text for people. */
export function table({ runtimes, faults, scriptCalls, diskFilled }: Results): string {
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
    ...(diskFilled ? [] : ["The disk was not filled: that takes root and a loop device"]),
    `Calls of client.ts to server.ts, to which nothing happened: ${scriptCalls}`,
  ].join("\n");
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function filesOf(handles: RuntimeResults["handles"], role: string): string {
  const files = (moment: Handles) => `${moment.files}`;
  return Object.entries(handles).filter(([process]) => process.includes(role))
    .map(([, [start, end]]) => `${files(start)} -> ${files(end)}`).join(", ");
}
