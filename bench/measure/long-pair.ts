import type { Reading } from "../programs/long-run.ts";
import { Program, script } from "./program.ts";
import type { Runtime } from "./program.ts";
import { decode, PROTOBUF, scrape, TEXT } from "./scraped-pair.ts";

/** A program of the pair, and where its metrics are. */
interface Side {
  readonly program: Program;
  readonly url: string;
}

/** The sides of a pair. */
export const SIDES = ["server", "client"] as const;

/** The name of a side. */
export type SideName = typeof SIDES[number];

/** A server, and a client that keeps 50 calls in flight until the pair is stopped. */
export class LongPair {
  readonly #sides: Readonly<Record<SideName, Side>>;
  readonly #records: boolean;

  private constructor(sides: Readonly<Record<SideName, Side>>, records: boolean) {
    this.#sides = sides;
    this.#records = records;
  }

  /** Starts both processes. */
  static async start(runtime: Runtime, variant: "bare" | "plugin"): Promise<LongPair> {
    const [server, { port, url }] = await Program.start<{ port: number; url: string }>(
      script(runtime, "bench/programs/long-run-server.ts", variant),
    );
    const [client, answer] = await Program.start<{ url: string }>(
      script(runtime, "bench/programs/long-run-client.ts", `${port}`, variant),
    );
    const sides = {
      server: { program: server, url },
      client: { program: client, url: answer.url },
    };
    return new LongPair(sides, variant === "plugin");
  }

  /** Reads the memory of both sides, and their longest stalls since the last time. */
  async readings(): Promise<Record<SideName, Reading>> {
    const [server, client] = await Promise.all(
      SIDES.map((side) => this.#sides[side].program.ask<Reading>("reading")),
    );
    return { server: server!, client: client! };
  }

  /** Returns the number of calls since the last time, and their 99th percentile. */
  async calls(): Promise<{ calls: number; p99Ms: number }> {
    return await this.#sides.client.program.ask("calls");
  }

  /**
   * Scrapes both sides.
   *
   * @throws {Error} when calls are in the metrics and should not be, or the other way round.
   */
  async scrape(format: "protobuf" | "text"): Promise<void> {
    for (const side of SIDES) {
      const accept = format === "text" ? TEXT : PROTOBUF;
      const body = decode(await scrape(this.#sides[side].url, accept));
      if (body.includes(`grpc_${side}_call_duration_seconds`) !== this.#records) {
        throw new Error(`the ${side} ${this.#records ? "did not record" : "recorded"} calls`);
      }
    }
  }

  /** Stops both processes. */
  async stop(): Promise<void> {
    await Promise.all(SIDES.map((side) => this.#sides[side].program.stop()));
  }
}
