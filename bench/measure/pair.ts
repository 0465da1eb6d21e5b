import type { LoadWindow } from "../programs/load.ts";
import { Program } from "./program.ts";

/** The commands for a server and its client. */
export interface PairCommands {
  readonly server: readonly string[];
  readonly client: (port: number) => readonly string[];
  /** Whether the pair should record calls. Checked at the end, to detect a wrong set-up. */
  readonly records: boolean;
}

/** The performance of a pair in one window. */
export interface PairWindow extends LoadWindow {
  /** CPU time of the server's process, in microseconds. */
  readonly serverCpuUs: number;
}

/** A server and a client in two new processes. */
export class Pair {
  readonly #server: Program;
  readonly #client: Program;
  readonly #records: boolean;

  private constructor(server: Program, client: Program, records: boolean) {
    this.#server = server;
    this.#client = client;
    this.#records = records;
  }

  /** Starts both processes. */
  static async start(commands: PairCommands): Promise<Pair> {
    const [server, { port }] = await Program.start<{ port: number }>(commands.server);
    const [client] = await Program.start(commands.client(port));
    return new Pair(server, client, commands.records);
  }

  /** Makes load for a time in milliseconds. */
  async window(milliseconds: number): Promise<PairWindow> {
    const cpuBefore = await this.#server.ask<number>("cpu");
    const window = await this.#client.ask<LoadWindow>(`run ${milliseconds}`);
    const serverCpuUs = await this.#server.ask<number>("cpu") - cpuBefore;
    return { ...window, serverCpuUs };
  }

  /**
   * Stops both processes.
   *
   * @throws {Error} when they recorded calls and should not have, or the other way round.
   */
  async stop(): Promise<void> {
    const recorded = [
      await this.#server.ask<number>("recorded"),
      await this.#client.ask<number>("recorded"),
    ];
    await Promise.all([this.#client.stop(), this.#server.stop()]);
    if (recorded.some((calls) => calls > 0 !== this.#records)) {
      const expected = this.#records ? "some" : "none";
      throw new Error(
        `server and client recorded ${recorded.join(" and ")} calls instead of ${expected}`,
      );
    }
  }
}
