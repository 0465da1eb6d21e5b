import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Owner } from "../support/script.ts";

/** The time in which a value grows from 0 to what the original page shows. */
const PERIOD_S = 60;

/**
 * Serves a page of metrics as if its process had a perfectly steady load: counters and histograms
 * grow from 0 in proportion to the time, other values stay the same. Whatever samples a query engine
 * chooses, the rates are then the same.
 *
 * @param page Metrics in OpenMetrics.
 * @returns The URL of the page.
 */
export async function serveSteadily(owner: Owner, page: string): Promise<string> {
  const startMs = performance.now();
  const server = createServer((_, response) => {
    const part = (performance.now() - startMs) / 1000 / PERIOD_S;
    let grows = false;
    const lines = page.split("\n").map((line) => {
      const [, type] = /^# TYPE \S+ (\S+)/.exec(line) ?? [];
      if (type !== undefined) grows = type === "counter" || type === "histogram";
      const [, series, value] = /^([a-z].*) (\S+)$/.exec(line) ?? [];
      return grows && series !== undefined ? `${series} ${Number(value) * part}` : line;
    });
    response.setHeader("content-type", "application/openmetrics-text; version=1.0.0");
    response.end(lines.join("\n"));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  owner.after(async () => {
    server.closeAllConnections();
    await once(server.close(), "close");
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
}
