/**
 * Answers scrapes: collects once, then writes that one snapshot in slices.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import { constants, createGzip } from "node:zlib";
import type { MetricReader, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import { thrownText } from "../log/thrown-text.ts";
import { type Family, FamilyCatalog } from "./text/families.ts";
import { HandlerMetrics } from "./handler-metrics.ts";
import { log, RecurringFailure } from "./log.ts";
import { acceptsGzip, negotiateFormat } from "./negotiate.ts";
import { renderSlices } from "./text/text.ts";

/** How much a scrape may take. Times in milliseconds. */
export interface ScrapeLimits {
  /** Scrapes at a time; more are answered 503. */
  readonly inFlight: number;
  /** What an observable instrument's callback may take; then its metrics are missing. */
  readonly callback: number;
  /** What a collection may take; then the answer is 503. */
  readonly collection: number;
  /** What a client may take to read the response; then the connection is cut. */
  readonly response: number;
}

/** Prometheus gives up after 10 seconds by default, so that it still sees what went wrong. */
export const SCRAPE_LIMITS: ScrapeLimits = {
  inFlight: 5,
  callback: 7_000,
  collection: 9_000,
  response: 30_000,
};

/**
 * The fastest. The text has so many repetitions that it becomes a tenth of its size or less in any
 * case, and the default level would take as much CPU time as everything else in a scrape.
 */
const GZIP_LEVEL = constants.Z_BEST_SPEED;

/** A scrape that can't be served, with the status and the text for the client. */
class ScrapeError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The `/metrics` handler of one reader. */
export class ScrapeHandler {
  readonly #reader: Pick<MetricReader, "collect">;
  readonly #limits: ScrapeLimits;
  readonly #catalog = new FamilyCatalog();
  readonly #metrics = new HandlerMetrics();
  readonly #callbacks = new RecurringFailure("A metric callback failed");
  readonly #collections = new RecurringFailure("Metrics could not be collected");
  /** Scrapes under way, and collections that outlived theirs. */
  #taken = 0;

  /**
   * @param reader where scrapes collect from
   * @param limits for tests
   */
  constructor(reader: Pick<MetricReader, "collect">, limits: ScrapeLimits = SCRAPE_LIMITS) {
    this.#reader = reader;
    this.#limits = limits;
  }

  /**
   * Answers one GET or HEAD request. Never rejects.
   *
   * @param names what the query's `name[]` parameters ask for; empty for everything
   */
  async handle(request: IncomingMessage, response: ServerResponse, names: string[]): Promise<void> {
    this.#metrics.begin();
    const { inFlight } = this.#limits;
    if (this.#taken >= inFlight) {
      this.#metrics.end(503);
      const text = `Limit of concurrent requests reached (${inFlight}), try again later.`;
      return sendError(response, 503, text);
    }
    this.#taken++;
    const collection = this.#collect();
    let ended = false;
    // Called before the client sees the end of the answer, because it may scrape again at once.
    const end = (status: number) => {
      if (ended) return;
      ended = true;
      this.#metrics.end(status);
      // A collection that hangs keeps its place, so that they can't pile up.
      collection.catch(() => {}).finally(() => this.#taken--);
    };
    try {
      const collected = await inTime(collection, this.#limits.collection);
      // The request came in with I/O, after which the first turn is part of the same round of the
      // event loop: only the second one lets timers and other I/O go first.
      await nextTurn();
      await nextTurn();
      const families = this.#catalog.families(collected, this.#metrics.families());
      const wanted = families.filter(({ name }) => names.length === 0 || names.includes(name));
      await this.#send(request, response, wanted, () => end(200));
    } catch (error) {
      if (error instanceof ScrapeError) {
        end(error.status);
        sendError(response, error.status, error.message);
      } else {
        end(200);
        response.destroy();
        log.debug(`A scrape was cut off: ${thrownText(error)}`);
      }
    }
  }

  async #collect(): Promise<ResourceMetrics> {
    try {
      const timeoutMillis = this.#limits.callback;
      const { resourceMetrics, errors } = await this.#reader.collect({ timeoutMillis });
      // As in Go: a failing callback costs the metrics of that callback, not the scrape.
      this.#callbacks.settled(errors);
      const { resource } = resourceMetrics;
      if (resource.asyncAttributesPending) await resource.waitForAsyncAttributes?.();
      this.#collections.settled([]);
      return resourceMetrics;
    } catch (error) {
      this.#collections.settled([error]);
      const text = `An error has occurred while serving metrics:\n\n${thrownText(error)}`;
      throw new ScrapeError(500, text);
    }
  }

  async #send(
    request: IncomingMessage,
    response: ServerResponse,
    families: Family[],
    written: () => void,
  ): Promise<void> {
    const { format, contentType } = negotiateFormat(request.headers.accept);
    const gzip = acceptsGzip(request.headers["accept-encoding"]?.toString());
    response.setHeader("content-type", contentType);
    response.setHeader("vary", "Accept, Accept-Encoding");
    if (gzip) response.setHeader("content-encoding", "gzip");
    if (request.method === "HEAD") {
      written();
      response.end();
      return;
    }
    const tooSlow = new AbortController();
    const timer = setTimeout(() => tooSlow.abort(), this.#limits.response).unref();
    const text = Readable.from(unhurried(renderSlices(families, format), written));
    const { signal } = tooSlow;
    try {
      if (gzip) await pipeline(text, createGzip({ level: GZIP_LEVEL }), response, { signal });
      else await pipeline(text, response, { signal });
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Lets the event loop go on after each slice, and tells when there are no more. */
async function* unhurried(slices: Iterable<string>, written: () => void): AsyncGenerator<string> {
  for (const slice of slices) {
    if (slice !== "") yield slice;
    await nextTurn();
  }
  written();
}

/** Settles as the promise does, or rejects after `limit` milliseconds as promhttp answers then. */
async function inTime<T>(promise: Promise<T>, limit: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const text = `Exceeded configured timeout of ${limit / 1000}s.`;
    timer = setTimeout(() => reject(new ScrapeError(503, text)), limit).unref();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Answers with a text, as Go's `http.Error` does. Clients get no stack trace. */
function sendError(response: ServerResponse, status: number, text: string): void {
  response.removeHeader("content-encoding");
  response.removeHeader("vary");
  response.writeHead(status, {
    "content-type": "text/plain; charset=utf-8",
    "x-content-type-options": "nosniff",
  });
  response.end(`${text}\n`);
}
