import { get } from "node:http";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import type { LoadWindow } from "../programs/load.ts";
import { collectingScript, Program, script } from "./program.ts";
import type { Runtime } from "./program.ts";

/** A client, and a server with 1,000 label sets that can be scraped. */
export class ScrapedPair {
  readonly #server: Program;
  readonly #client: Program;
  /** The address of the metrics. */
  readonly url: string;

  private constructor(server: Program, client: Program, url: string) {
    this.#server = server;
    this.#client = client;
    this.url = url;
  }

  /**
   * Starts both processes.
   *
   * @param exposition The endpoint of the server: this project's or the stock exporter.
   */
  static async start(runtime: Runtime, exposition: "ours" | "stock"): Promise<ScrapedPair> {
    const [server, { port, url }] = await Program.start<{ port: number; url: string }>(
      collectingScript(runtime, "bench/programs/scraped-server.ts", exposition),
    );
    const [client] = await Program.start(
      script(runtime, "bench/programs/client.ts", `${port}`, "bare"),
    );
    return new ScrapedPair(server, client, url);
  }

  /** Makes load for a time in milliseconds, with 50 concurrent calls. */
  load(milliseconds: number): Promise<LoadWindow> {
    return this.#client.ask(`run ${milliseconds}`);
  }

  /** Makes a call every few milliseconds until `action` ends. */
  async trickle<T>(action: () => Promise<T>): Promise<T> {
    await this.#client.ask("trickle");
    const result = await action();
    const calls = await this.#client.ask<number>("rest");
    if (calls === 0) throw new Error("the client made no calls during the scrapes");
    return result;
  }

  /** Makes the server collect the garbage that calls have left. */
  async collectGarbage(): Promise<void> {
    await this.#server.ask("collect");
  }

  /** Returns the longest stall of the server's event loop during `action`, in milliseconds. */
  async stallDuring(action: () => Promise<unknown>): Promise<number> {
    await this.#server.ask("watch");
    await action();
    return await this.#server.ask<number>("stall");
  }

  /** Stops both processes. */
  async stop(): Promise<void> {
    await Promise.all([this.#client.stop(), this.#server.stop()]);
  }
}

/** The Accept header that Prometheus sends with a scrape. */
export const TEXT = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
  "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1";

/** The Accept header of a Prometheus that takes native histograms. */
export const PROTOBUF = "application/vnd.google.protobuf;" +
  `proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,${TEXT}`;

/**
 * Scrapes like Prometheus.
 *
 * @param accept The Accept header.
 * @returns The body as received, which may be compressed.
 */
export async function scrape(url: string, accept = TEXT): Promise<Uint8Array> {
  const headers = { accept, "accept-encoding": "gzip" };
  return await new Promise((resolve, reject) => {
    get(url, { headers }, (response) => {
      if (response.statusCode === 200) buffer(response).then(resolve, reject);
      else reject(new Error(`${url} answered ${response.statusCode}`));
    }).on("error", reject);
  });
}

/** Decodes a body and decompresses it if it starts with the two bytes of gzip (RFC 1952). */
export function decode(body: Uint8Array): string {
  const isGzip = body[0] === 0x1f && body[1] === 0x8b;
  return new TextDecoder().decode(isGzip ? gunzipSync(body) : body);
}
