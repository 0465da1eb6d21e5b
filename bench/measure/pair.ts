import type { LoadWindow } from "../programs/load.ts";
import { Program } from "./program.ts";

/** How to start a server and a client of it. */
export interface PairCommands {
  readonly server: readonly string[];
  readonly client: (port: number) => readonly string[];
  /** Whether calls are recorded; checked at the end, so that nothing is measured that is off. */
  readonly records: boolean;
}

/** What a pair did in one window. */
export interface PairWindow extends LoadWindow {
  /** CPU time of the server's process. */
  readonly serverCpuUs: number;
}

/** A server and a client in two fresh processes. */
export class Pair {
  readonly #server: Program;
  readonly #client: Program;
  readonly #records: boolean;

  private constructor(server: Program, client: Program, records: boolean) {
    this.#server = server;
    this.#client = client;
    this.#records = records;
  }

  static async start(commands: PairCommands): Promise<Pair> {
    const [server, { port }] = await Program.start<{ port: number }>(commands.server);
    const [client] = await Program.start(commands.client(port));
    return new Pair(server, client, commands.records);
  }

  /** Makes load for so many milliseconds. */
  async window(milliseconds: number): Promise<PairWindow> {
    const cpuBefore = await this.#server.ask<number>("cpu");
    const window = await this.#client.ask<LoadWindow>(`run ${milliseconds}`);
    const serverCpuUs = await this.#server.ask<number>("cpu") - cpuBefore;
    return { ...window, serverCpuUs };
  }

  /** @throws {Error} when calls were not recorded that had to be, or the other way round. */
  async stop(): Promise<void> {
    const recorded = [
      await this.#server.ask<number>("recorded"),
      await this.#client.ask<number>("recorded"),
    ];
    await Promise.all([this.#client.stop(), this.#server.stop()]);
    if (recorded.some((calls) => calls > 0 !== this.#records)) {
      throw new Error(`calls recorded by server and client: ${recorded.join(", ")}`);
    }
  }
}
