import { setTimeout as delay } from "node:timers/promises";
import { echoClient, unary } from "../support/echo.ts";
import { Gap } from "./gap.ts";

const INTERVAL_MS = 100;
const PATIENCE_MS = 1000;

/** Calls a server all the time, to see for how long it cannot be had. */
export class Probe {
  readonly gap = new Gap();
  #stopped = false;
  readonly #work: Promise<void>;

  /** @param address Of the server, as its clients know it. */
  constructor(address: string) {
    this.#work = this.#run(address);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }

  async #run(address: string): Promise<void> {
    const client = echoClient(address, {
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 200,
    });
    while (!this.#stopped) {
      const reply = await unary(client, "probe", { deadline: Date.now() + PATIENCE_MS });
      if (reply === "probe") this.gap.answered();
      await delay(INTERVAL_MS);
    }
    client.close();
  }
}
