import type { CollectorPorts } from "../../stack/collector/environment.ts";
import { push } from "./fleet.ts";
import type { Counts } from "./ledger.ts";
import { Program } from "./program.ts";
import type { Target } from "./prometheus.ts";
import { run } from "../support/script.ts";

const QPS = 10;
const DEADLINE_MS = 5000;

/**
 * `server.ts` on Bun and `client.ts` on Deno, as in the README. Faults affect neither them nor their
 * connection, only what they export to. So no call may fail, and both sides must count the same.
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
        ECHO_DEADLINE_MS: `${DEADLINE_MS}`,
        OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${client}`,
      },
    });
    await clientProgram.printed(/^Metrics at (\S+)/);
    return new ScriptPair(serverProgram, clientProgram, url);
  }

  get programs(): readonly Program[] {
    return [this.#server, this.#client];
  }

  /** Stops the client. Resolves with the numbers of calls in its summary. */
  async finish(): Promise<Counts> {
    const made = Promise.all([
      this.#client.printed(/^ +Calls +(\d+)$/),
      this.#client.printed(/^ +Succeeded +(\d+)$/),
    ]);
    await this.#client.stop("SIGTERM");
    const [calls, succeeded] = (await made).map(Number);
    return { calls: calls!, succeeded: succeeded! };
  }

  /** Stops the server. Resolves with how it ended. */
  end(): Promise<string> {
    return this.#server.stop("SIGTERM");
  }
}
