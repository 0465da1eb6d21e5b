import type { CollectorPorts } from "../../stack/collector/environment.ts";
import { push } from "./fleet.ts";
import type { Counts } from "./ledger.ts";
import { Program } from "./program.ts";
import type { Target } from "./prometheus.ts";
import { run } from "./worker-process.ts";

const QPS = 10;
const PATIENCE_MS = 5000;

/**
 * `server.ts` on Bun and `client.ts` on Deno, as the README has them. Nothing happens to them or
 * their connection, only to what they export to: no call may fail, and both sides have the same.
 */
export class ScriptPair {
  readonly server: Target;
  readonly clientInstance: string;
  readonly #server: Program;
  readonly #client: Program;

  private constructor(server: Program, client: Program, url: string) {
    this.#server = server;
    this.#client = client;
    this.server = { job: server.name, instance: server.name, url };
    this.clientInstance = client.name;
  }

  static async start(agent: CollectorPorts, port: number): Promise<ScriptPair> {
    const [server, client] = ["server.ts", "client.ts"];
    const serverProgram = new Program({
      name: server,
      command: run("bun", server),
      environment: {
        ECHO_ADDR: `127.0.0.1:${port}`,
        ECHO_DELAY_MS: "0",
        OTEL_EXPORTER_PROMETHEUS_PORT: "0",
        OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${server}`,
      },
    });
    const url = await serverProgram.printed(/^Metrics at (\S+)/);
    const clientProgram = new Program({
      name: client,
      command: run("deno", client),
      environment: {
        ...push("deno", agent),
        ECHO_ADDR: `127.0.0.1:${port}`,
        ECHO_QPS: `${QPS}`,
        ECHO_DEADLINE_MS: `${PATIENCE_MS}`,
        OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${client}`,
      },
    });
    await clientProgram.printed(/^Metrics at (\S+)/);
    return new ScriptPair(serverProgram, clientProgram, url);
  }

  get programs(): readonly Program[] {
    return [this.#server, this.#client];
  }

  /** Stops the client; resolves to how many calls it made, by its summary. */
  async finish(): Promise<Counts> {
    const made = Promise.all([
      this.#client.printed(/^ +Calls +(\d+)$/),
      this.#client.printed(/^ +Succeeded +(\d+)$/),
    ]);
    await this.#client.stop("SIGTERM");
    const [calls, succeeded] = (await made).map(Number);
    return { calls: calls!, succeeded: succeeded! };
  }

  /** Stops the server; resolves to how it ended. */
  end(): Promise<string> {
    return this.#server.stop("SIGTERM");
  }
}
