/**
 * The scrape endpoint: `/metrics` for Prometheus, two small pages for people and probes.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { MetricReader } from "@opentelemetry/sdk-metrics";
import { startListener } from "./listener.ts";
import { ScrapeHandler } from "./scrape.ts";

/** What {@linkcode startScrapeEndpoint} needs. */
export interface ScrapeEndpointOptions {
  /** A reader of cumulative data: `PrometheusReader`, given to a `MeterProvider`. */
  readonly reader: Pick<MetricReader, "collect">;
  /** The name or address to listen on, for example `127.0.0.1` or `::1`. */
  readonly host: string;
  /** The TCP port; 0 is any free one. */
  readonly port: number;
}

/** An endpoint that is listening. */
export interface ScrapeEndpoint {
  /** Where the metrics are, with the real port: `http://127.0.0.1:9464/metrics`. */
  readonly url: string;
  /** Stops listening. Scrapes under way have a second to finish. May be called again. */
  close(): Promise<void>;
}

/**
 * Serves a reader's metrics to Prometheus, as Go's promhttp does: text format 0.0.4 or OpenMetrics
 * 1.0 by the Accept header, gzip, five scrapes at a time. It never keeps the process alive.
 *
 * @throws {Error} the runtime's error when the address can't be had, `code` is for example
 *   `EADDRINUSE`
 */
export async function startScrapeEndpoint(options: ScrapeEndpointOptions): Promise<ScrapeEndpoint> {
  const { reader, host, port } = options;
  const listener = await startListener(router(new ScrapeHandler(reader)), { host, port });
  const authority = host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${authority}:${listener.port}/metrics`,
    close: () => listener.close(),
  };
}

const INDEX = `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Metrics</title></head>
<body>
<h1>Metrics</h1>
<ul>
<li><a href="/metrics">/metrics</a>: what Prometheus scrapes</li>
<li><a href="/-/healthy">/-/healthy</a>: answers as long as this process does</li>
</ul>
</body>
</html>
`;

/**
 * The paths of the endpoint. They are compared as they stand: no decoding, no dot segments, so
 * that nothing else leads to them.
 *
 * @param scrapes answers `/metrics`
 */
export function router(scrapes: ScrapeHandler) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    const [path, query = ""] = pathAndQuery(request.url ?? "");
    if (path !== "/" && path !== "/metrics" && path !== "/-/healthy") {
      return send(response, 404, "text/plain", "404 page not found\n");
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      return send(response, 405, "text/plain", "Method Not Allowed\n");
    }
    if (path === "/") return send(response, 200, "text/html", INDEX);
    if (path === "/-/healthy") return send(response, 200, "text/plain", "Healthy\n");
    void scrapes.handle(request, response, new URLSearchParams(query).getAll("name[]"));
  };
}

/** The target without the authority that a proxy's request line has. */
function pathAndQuery(target: string): string[] {
  const path = target.replace(/^http:\/\/[^/?#]*/i, "");
  return path.split("?", 2);
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, {
    "content-type": `${type}; charset=utf-8`,
    "content-length": text.length,
    "x-content-type-options": "nosniff",
  });
  response.end(text);
}
