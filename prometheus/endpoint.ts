/**
 * The scrape endpoint: `/metrics` for Prometheus, two small pages for people and probes.
 *
 * @module
 */

import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { MetricReader } from "@opentelemetry/sdk-metrics";
import { type IdentityPaths, watchServerCertificates } from "../tls/certificates.ts";
import { Authentication, type AuthenticationFiles } from "./authentication.ts";
import { type HostCheck, hostCheck } from "./host.ts";
import { startListener } from "./listener.ts";
import { log } from "./log.ts";
import { ScrapeHandler } from "./scrape.ts";

/** What {@linkcode startScrapeEndpoint} needs. */
export interface ScrapeEndpointOptions {
  /** A reader of cumulative data: `PrometheusReader`, given to a `MeterProvider`. */
  readonly reader: Pick<MetricReader, "collect">;
  /** The name or address to listen on, for example `127.0.0.1` or `::1`. */
  readonly host: string;
  /** The TCP port; 0 is any free one. */
  readonly port: number;
  /** Files in PEM; with them there is TLS alone. They are read again when they change. */
  readonly tls?: ScrapeEndpointTls | undefined;
  /** Files with secrets, of which each request must have one, on every path. */
  readonly authentication?: AuthenticationFiles | undefined;
  /**
   * Host names that requests may ask for besides addresses and names without a dot, such as
   * `localhost`; without ports, `*` is every name. By default an endpoint on loopback allows none,
   * and other endpoints allow every name.
   */
  readonly allowedHosts?: readonly string[] | undefined;
}

/** The paths of an endpoint's certificates. */
export interface ScrapeEndpointTls extends IdentityPaths {
  /** The authorities of clients' certificates; with it, clients must show one. */
  readonly clientCa?: string | undefined;
}

/** An endpoint that is listening. */
export interface ScrapeEndpoint {
  /** Where the metrics are, with the real port: `http://127.0.0.1:9464/metrics`, or `https:`. */
  readonly url: string;
  /** Stops listening. Scrapes under way have a second to finish. May be called again. */
  close(): Promise<void>;
}

/**
 * Serves a reader's metrics to Prometheus, as Go's promhttp does: text format 0.0.4 or OpenMetrics
 * 1.0 by the Accept header, gzip, five scrapes at a time. It never keeps the process alive.
 *
 * @throws {Error} the runtime's error when the address can't be had, `code` is for example
 *   `EADDRINUSE`, or when a file can't be used
 */
export async function startScrapeEndpoint(options: ScrapeEndpointOptions): Promise<ScrapeEndpoint> {
  const { reader, host, port, tls, authentication: files, allowedHosts } = options;
  const certificates = tls && watchServerCertificates(tls, tls.clientCa, log);
  const authentication = files && new Authentication(files);
  // The check needs the address that the listener gets; no request arrives before that.
  let allowsHost: HostCheck = () => false;
  const handle = checked(router(new ScrapeHandler(reader)), (header) => allowsHost(header));
  const listener = await startListener(
    authentication ? guarded(handle, authentication) : handle,
    { host, port, tls: certificates },
  );
  allowsHost = hostCheck(host, listener.address, allowedHosts);
  const authority = host.includes(":") ? `[${host}]` : host;
  return {
    url: `${tls ? "https" : "http"}://${authority}:${listener.port}/metrics`,
    close() {
      authentication?.close();
      return listener.close();
    },
  };
}

/** Lets in who has a secret; others learn nothing, not even which paths there are. */
function guarded(handle: RequestListener, authentication: Authentication): RequestListener {
  return (request, response) => {
    if (authentication.allows(request.headers.authorization)) return handle(request, response);
    response.setHeader("www-authenticate", authentication.challenges);
    response.setHeader("connection", "close");
    send(response, 401, "text/plain", "Unauthorized\n");
  };
}

/** Refuses requests for a host name that is not allowed. */
function checked(handle: RequestListener, allowsHost: HostCheck): RequestListener {
  return (request, response) => {
    if (allowsHost(request.headers.host)) return handle(request, response);
    response.setHeader("connection", "close");
    send(response, 403, "text/plain", "The request's host name is not an allowed host\n");
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
  const path = target.replace(/^https?:\/\/[^/?#]*/i, "");
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
