/**
 * The scrape endpoint: `/metrics` for Prometheus, and two small pages for people and probes.
 *
 * @module
 */

import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { MetricReader } from "@opentelemetry/sdk-metrics";
import { type IdentityPaths, watchServerCertificates } from "../tls/certificates.ts";
import { Authentication, type AuthenticationFiles } from "./authentication.ts";
import type { ExpositionOptions } from "./families/options.ts";
import { type HostCheck, hostCheck } from "./host.ts";
import { startListener } from "./listener.ts";
import { log } from "./log.ts";
import type { MetricsPage } from "./page.ts";
import { SCRAPE_LIMITS, ScrapeHandler } from "./scrape.ts";

/** Options of {@linkcode startScrapeEndpoint}. */
export interface ScrapeEndpointOptions extends ExpositionOptions {
  /** The `PrometheusReader` that the `MeterProvider` has, or another reader of cumulative data. */
  readonly reader: Pick<MetricReader, "collect">;
  /** The host name or IP address to listen on, for example `127.0.0.1` or `::1`. */
  readonly host: string;
  /** The TCP port. 0 means any free port. */
  readonly port: number;
  /** Certificate files in PEM. With them, the endpoint speaks only HTTPS. */
  readonly tls?: ScrapeEndpointTls | undefined;
  /** Files with secrets. With them, each request must have one of the secrets, for every path. */
  readonly authentication?: AuthenticationFiles | undefined;
  /**
   * Further names that the Host header of a request may have, without ports; `*` allows every name.
   * IP addresses, names without a dot and names in `localhost` are always allowed. By default, an
   * endpoint on a loopback address allows no other names, which protects it against DNS rebinding,
   * and an endpoint on another address allows every name.
   */
  readonly allowedHosts?: readonly string[] | undefined;
  /**
   * The page at `/`, for example that of `grpc-js-opentelemetry/page`. Each request for it costs a
   * collection. Without it, `/` only links to the other pages. That page finds metrics by their
   * default names, so it stays empty with a namespace or another translation.
   */
  readonly page?: MetricsPage | undefined;
}

/** The paths of an endpoint's certificate files. They are read again when they change. */
export interface ScrapeEndpointTls extends IdentityPaths {
  /** The authorities of clients in PEM. With it, each client must have a certificate of one of them. */
  readonly clientCa?: string | undefined;
}

/** A listening endpoint. */
export interface ScrapeEndpoint {
  /** The URL of the metrics with the actual port, for example `http://127.0.0.1:9464/metrics`. */
  readonly url: string;
  /** Stops listening, and cuts scrapes that take longer than one more second. May be called again. */
  close(): Promise<void>;
}

/**
 * Serves the metrics of a reader over HTTP/1.1, as Go's promhttp does: text format 0.0.4 or
 * OpenMetrics 1.0, whichever the Accept header prefers, compressed with gzip on request. It serves at
 * most five scrapes at a time, each with a collection of at most 9 seconds; others are answered with
 * 503. The endpoint never keeps the process alive.
 *
 * @throws {Error} the runtime's error if the address is not available, with a `code` such as
 *   `EADDRINUSE`; or an error if a file cannot be used or an option is invalid
 * @see https://pkg.go.dev/github.com/prometheus/client_golang/prometheus/promhttp
 * @see https://prometheus.io/docs/instrumenting/content_negotiation/
 */
export async function startScrapeEndpoint(options: ScrapeEndpointOptions): Promise<ScrapeEndpoint> {
  const { reader, host, port, tls, authentication: files, allowedHosts, page } = options;
  const scrapes = new ScrapeHandler(reader, SCRAPE_LIMITS, options);
  const certificates = tls && watchServerCertificates(tls, tls.clientCa, log);
  const authentication = files && new Authentication(files);
  // The check needs the address that the listener is bound to. No request arrives before that.
  let allowsHost: HostCheck = () => false;
  const handle = hostChecked(router(scrapes, page), (header) => allowsHost(header));
  const listener = await startListener(
    authentication ? authenticated(handle, authentication) : handle,
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

/** Answers requests without a secret with 401, for every path, so that they reveal no paths. */
function authenticated(handle: RequestListener, authentication: Authentication): RequestListener {
  return (request, response) => {
    if (authentication.allows(request.headers.authorization)) return handle(request, response);
    response.setHeader("www-authenticate", authentication.challenges);
    response.setHeader("connection", "close");
    send(response, 401, "text/plain", "Unauthorized\n");
  };
}

/** Answers requests for a host name that is not allowed with 403. */
function hostChecked(handle: RequestListener, allowsHost: HostCheck): RequestListener {
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
<li><a href="/metrics">/metrics</a>: metrics for Prometheus</li>
<li><a href="/-/healthy">/-/healthy</a>: whether this process answers requests</li>
</ul>
</body>
</html>
`;

/**
 * Routes requests to the endpoint's pages. Paths are compared without decoding and without resolving
 * dot segments, so that each page has exactly one path.
 *
 * @param scrapes the handler of `/metrics`
 * @param page the page at `/`, by default a list of links
 */
export function router(scrapes: ScrapeHandler, page?: MetricsPage) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    const [path, query = ""] = pathAndQuery(request.url ?? "");
    if (path !== "/" && path !== "/metrics" && path !== "/-/healthy") {
      return send(response, 404, "text/plain", "404 page not found\n");
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      return send(response, 405, "text/plain", "Method Not Allowed\n");
    }
    if (path === "/" && page !== undefined) return void scrapes.handlePage(request, response, page);
    if (path === "/") return send(response, 200, "text/html", INDEX);
    if (path === "/-/healthy") return send(response, 200, "text/plain", "Healthy\n");
    void scrapes.handle(request, response, new URLSearchParams(query).getAll("name[]"));
  };
}

/** Splits a request target. Proxies send it with scheme and authority, which are removed. */
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
