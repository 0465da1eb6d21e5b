/**
 * Answers scrapes: collects the metrics once, then writes this snapshot in slices.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { Buffer } from "node:buffer";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import { constants, createGzip } from "node:zlib";
import type { MetricReader } from "@opentelemetry/sdk-metrics";
import { thrownText } from "../log/thrown-text.ts";
import { HandlerMetrics } from "./handler-metrics.ts";
import { NameEscaper } from "./escaping.ts";
import { log, RecurringFailure } from "./log.ts";
import { acceptsGzip, negotiateFormat } from "./negotiate.ts";
import type { MetricsPage } from "./page.ts";
import { ResourceAttributes } from "./resource-attributes.ts";
import { type Collected, type Family, FamilyCatalog } from "./families/families.ts";
import type { ExpositionOptions } from "./families/options.ts";
import { StartTimes } from "./families/start-times.ts";
import { renderProtobufSlices } from "./protobuf/render.ts";
import { PROMETHEUS_TEXT, renderSlices } from "./text/render.ts";

/** The limits of a scrape. Times are in milliseconds. */
export interface ScrapeLimits {
  /** The number of scrapes at a time. Further ones are answered with 503. */
  readonly inFlight: number;
  /** How long the callbacks of observable instruments may take. Slower metrics are missing. */
  readonly callback: number;
  /** How long late attributes of the resource may take, once. They are missing until they resolve. */
  readonly attributes: number;
  /** How long a collection may take. A longer one is answered with 503. */
  readonly collection: number;
  /** How long a client may take to read the response. Then the connection is cut. */
  readonly response: number;
}

/** By default, Prometheus gives up after 10 seconds. It sees the error if we give up before. */
export const SCRAPE_LIMITS: ScrapeLimits = {
  inFlight: 5,
  callback: 7_000,
  attributes: 1_000,
  collection: 9_000,
  response: 30_000,
};

/**
 * The fastest level. The text is so repetitive that every level compresses it to a tenth or less, and
 * the default level takes as much CPU time as the rest of a scrape.
 */
const GZIP_LEVEL = constants.Z_BEST_SPEED;

/** A failed scrape, with the status and the text for the client. */
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
  readonly #catalog: FamilyCatalog;
  /** Undefined if no name needs it. */
  readonly #escaper: NameEscaper | undefined;
  readonly #metrics = new HandlerMetrics();
  readonly #callbackFailures = new RecurringFailure("A metric callback failed");
  readonly #collectionFailures = new RecurringFailure("Metrics could not be collected");
  #resource: ResourceAttributes | undefined;
  /** Scrapes in progress, and collections that outlived their scrapes. */
  #taken = 0;

  /**
   * @param reader the reader that each scrape collects from
   * @param limits the limits; tests change them
   * @param options what is shown
   * @throws {RangeError} if an option is invalid
   */
  constructor(
    reader: Pick<MetricReader, "collect">,
    limits: ScrapeLimits = SCRAPE_LIMITS,
    options: ExpositionOptions = {},
  ) {
    this.#reader = reader;
    this.#limits = limits;
    const catalog = this.#catalog = new FamilyCatalog(new StartTimes(), options);
    if (catalog.utf8) this.#escaper = new NameEscaper(catalog.warnings);
  }

  /**
   * Answers one GET or HEAD request. Never rejects.
   *
   * @param names the families to send, from the query's `name[]` parameters; empty for all
   */
  async handle(request: IncomingMessage, response: ServerResponse, names: string[]): Promise<void> {
    await this.#answer(response, names, (families, written) => {
      return this.#send(request, response, families, written);
    });
  }

  /**
   * Answers one GET or HEAD request for a page of the metrics. GET counts as a scrape. Never rejects.
   */
  async handlePage(
    request: IncomingMessage,
    response: ServerResponse,
    page: MetricsPage,
  ): Promise<void> {
    const headers = {
      "content-type": "text/html; charset=utf-8",
      "x-content-type-options": "nosniff",
      ...page.headers,
    };
    if (request.method === "HEAD") {
      response.writeHead(200, headers).end();
      return;
    }
    await this.#answer(response, page.families, async (families, written) => {
      const text = withPauses(renderSlices(families, PROMETHEUS_TEXT), written);
      const document = Buffer.from(await page.render(text));
      response.writeHead(200, { ...headers, "content-length": document.length }).end(document);
    });
  }

  /** Collects the named families, or all, and lets `send` write them. */
  async #answer(
    response: ServerResponse,
    names: readonly string[],
    send: (families: Family[], written: () => void) => Promise<void>,
  ): Promise<void> {
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
    // Called before the client sees the end of the response, because it may scrape again at once.
    const end = (status: number) => {
      if (ended) return;
      ended = true;
      this.#metrics.end(status);
      // A hanging collection keeps its place, so that hanging collections cannot pile up.
      collection.catch(() => {}).finally(() => this.#taken--);
    };
    try {
      const collected = await inTime(collection, this.#limits.collection);
      // The request arrived in the I/O phase, and the first `setImmediate` runs in the same round of
      // the event loop. Only the second one lets timers and other I/O run first.
      await nextTurn();
      await nextTurn();
      const families = this.#catalog.families(collected, this.#metrics.families());
      const wanted = families.filter(({ name }) => names.length === 0 || names.includes(name));
      await send(wanted, () => end(200));
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

  async #collect(): Promise<Collected> {
    try {
      const timeoutMillis = this.#limits.callback;
      const { resourceMetrics, errors } = await this.#reader.collect({ timeoutMillis });
      // As in Go, a failing callback costs its own metrics and not the scrape.
      this.#callbackFailures.record(errors);
      this.#resource ??= new ResourceAttributes(resourceMetrics.resource);
      const attributes = await this.#resource.get(this.#limits.attributes);
      this.#collectionFailures.record([]);
      return { resource: { attributes }, scopeMetrics: resourceMetrics.scopeMetrics };
    } catch (error) {
      this.#collectionFailures.record([error]);
      const text = `An error has occurred while serving metrics:\n\n${thrownText(error)}`;
      throw new ScrapeError(500, text);
    }
  }

  async #send(
    request: IncomingMessage,
    response: ServerResponse,
    families: readonly Family[],
    written: () => void,
  ): Promise<void> {
    const { format, contentType, escaping } = negotiateFormat(request.headers.accept);
    const escaped = this.#escaper?.escape(families, escaping) ?? families;
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
    const slices: Iterable<string | Uint8Array> = format === "protobuf"
      ? renderProtobufSlices(escaped)
      : renderSlices(escaped, format);
    const body = Readable.from(withPauses(slices, written));
    const { signal } = tooSlow;
    try {
      if (gzip) await pipeline(body, createGzip({ level: GZIP_LEVEL }), response, { signal });
      else await pipeline(body, response, { signal });
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Lets the event loop run after each slice, and calls `written` after the last one. */
async function* withPauses<Slice extends string | Uint8Array>(
  slices: Iterable<Slice>,
  written: () => void,
): AsyncGenerator<Slice> {
  for (const slice of slices) {
    if (slice.length > 0) yield slice;
    await nextTurn();
  }
  written();
}

/** Settles like the promise, or rejects with promhttp's answer after `limit` milliseconds. */
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

/** Answers with an error text and no stack trace, as Go's `http.Error` does. */
function sendError(response: ServerResponse, status: number, text: string): void {
  response.removeHeader("content-encoding");
  response.removeHeader("vary");
  response.writeHead(status, {
    "content-type": "text/plain; charset=utf-8",
    "x-content-type-options": "nosniff",
  });
  response.end(`${text}\n`);
}
