import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { victoriaMetricsCommand } from "../../stack/victoria-metrics-command.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/ports.ts";
import { scrape } from "../support/scrape.ts";
import { Script } from "../support/script.ts";
import type { Owner } from "../support/script.ts";

/** A running VictoriaMetrics. */
export class RunningVictoriaMetrics {
  /** The URL, without a slash at the end. It stays the same after a restart. */
  readonly url: string;
  readonly #command: readonly string[];
  readonly #kills: (() => Promise<void>)[] = [];
  #process: Script | undefined;

  private constructor(command: readonly string[], port: number) {
    this.#command = command;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Starts VictoriaMetrics from the PATH on a free port. */
  static async start(owner: Owner): Promise<RunningVictoriaMetrics> {
    const data = await mkdtemp(join(tmpdir(), "victoria-metrics-"));
    const port = await freePort();
    const command = await victoriaMetricsCommand({ data, port });
    const victoriaMetrics = new RunningVictoriaMetrics(command, port);
    owner.after(async () => {
      for (const kill of victoriaMetrics.#kills) await kill();
      await rm(data, { recursive: true });
    });
    await victoriaMetrics.startAgain();
    return victoriaMetrics;
  }

  /** Stops VictoriaMetrics, which first writes what it has accepted, and keeps its data. */
  async stop(): Promise<void> {
    await this.#process?.stop("SIGINT");
  }

  /** Starts VictoriaMetrics again after {@link stop}, with the same data on the same port. */
  async startAgain(): Promise<void> {
    const owner = { after: (kill: () => Promise<void>) => void this.#kills.push(kill) };
    this.#process = new Script(owner, this.#command);
    await eventually(() => scrape(`${this.url}/health`), 30_000);
  }
}
