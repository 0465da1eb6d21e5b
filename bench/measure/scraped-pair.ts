import type { LoadWindow } from "../programs/load.ts";
import { collectingScript, Program, script } from "./program.ts";
import type { Runtime } from "./program.ts";

/** A client, and a server with 1,000 label sets that is scraped. */
export class ScrapedPair {
  readonly #server: Program;
  readonly #client: Program;
  /** Where to scrape. */
  readonly url: string;

  private constructor(server: Program, client: Program, url: string) {
    this.#server = server;
    this.#client = client;
    this.url = url;
  }

  /** @param exposition whose text is served: the project's or the stock exporter's */
  static async start(runtime: Runtime, exposition: "ours" | "stock"): Promise<ScrapedPair> {
    const [server, { port, url }] = await Program.start<{ port: number; url: string }>(
      collectingScript(runtime, "bench/programs/scraped-server.ts", exposition),
    );
    const [client] = await Program.start(
      script(runtime, "bench/programs/client.ts", `${port}`, "bare"),
    );
    return new ScrapedPair(server, client, url);
  }

  /** Makes load for so many milliseconds, 50 calls at once. */
  load(milliseconds: number): Promise<LoadWindow> {
    return this.#client.ask(`run ${milliseconds}`);
  }

  /** Makes a call every few milliseconds, as long as `action` takes. */
  async trickle<T>(action: () => Promise<T>): Promise<T> {
    await this.#client.ask("trickle");
    const result = await action();
    const calls = await this.#client.ask<number>("rest");
    if (calls === 0) throw new Error("there were no calls");
    return result;
  }

  /** Rids the server of the garbage that calls have left. */
  async collectGarbage(): Promise<void> {
    await this.#server.ask("collect");
  }

  /** The longest time that the server's event loop did not turn while `action` ran, in ms. */
  async stallDuring(action: () => Promise<unknown>): Promise<number> {
    await this.#server.ask("watch");
    await action();
    return await this.#server.ask<number>("stall");
  }

  async stop(): Promise<void> {
    await Promise.all([this.#client.stop(), this.#server.stop()]);
  }
}
