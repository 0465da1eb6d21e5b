import { AnsweringProgram } from "../support/answering-program.ts";
import type { Owner } from "../support/script.ts";
import type { Resource } from "./resources.ts";

/** What a control plane knows of its clients. */
export interface Counts {
  /** The streams that were opened. */
  readonly streams: number;
  readonly openStreams: number;
  readonly requests: number;
  /** The responses that clients accepted. */
  readonly acks: number;
  /** The responses that clients refused. */
  readonly nacks: number;
  /** The resources that were sent, by type, such as `envoy.config.cluster.v3.Cluster`. */
  readonly resources: Readonly<Record<string, number>>;
  /** What the latest refusal says. */
  readonly refusal: string;
}

interface Answer {
  readonly error?: string;
  readonly port?: number;
  readonly counts?: Counts;
}

/** An xDS control plane in another process. */
export class ControlPlane {
  readonly #program: AnsweringProgram<Answer>;
  #port = 0;

  private constructor(program: AnsweringProgram<Answer>) {
    this.#program = program;
  }

  /**
   * Starts a control plane that listens and serves resources. It ends with its owner.
   *
   * @param program The path of the program.
   * @throws {Error} If the process exits, with its standard error. All methods do the same.
   */
  static async start(
    owner: Owner,
    program: string,
    resources: readonly Resource[],
  ): Promise<ControlPlane> {
    const plane = new ControlPlane(new AnsweringProgram("the control plane", program));
    owner.after(() => plane.#program.stop());
    await plane.set(...resources);
    await plane.listen();
    return plane;
  }

  get port(): number {
    return this.#port;
  }

  /** The bootstrap configuration of a client of this control plane, as JSON. */
  get bootstrap(): string {
    return bootstrap(this.#port);
  }

  /** Listens, after {@link stop} on the port that it had. */
  async listen(): Promise<void> {
    this.#port = (await this.#ask({ do: "listen", port: this.#port })).port!;
  }

  /** Closes the port and all connections. Counts go on after the next {@link listen}. */
  async stop(): Promise<void> {
    await this.#ask({ do: "stop" });
  }

  /** Adds or replaces resources. Clients get all resources of the types that change. */
  async set(...resources: Resource[]): Promise<void> {
    await this.#ask({ do: "set", resources });
  }

  async remove(...resources: Resource[]): Promise<void> {
    await this.#ask({ do: "remove", resources });
  }

  async counts(): Promise<Counts> {
    return (await this.#ask({ do: "counts" })).counts!;
  }

  async #ask(question: object): Promise<Answer> {
    const answer = await this.#program.ask(question).answer;
    if (answer.error !== undefined) throw new Error(`the control plane: ${answer.error}`);
    return answer;
  }
}

/** Returns the bootstrap configuration of a client, as JSON. */
export function bootstrap(port: number, authority?: string): string {
  const server = {
    server_uri: `localhost:${port}`,
    channel_creds: [{ type: "insecure" }],
    server_features: ["xds_v3"],
  };
  return JSON.stringify({
    xds_servers: [server],
    // Without a locality, grpc-js-xds fails with "Cannot read properties of null".
    node: { id: "test", cluster: "test", locality: { region: "here", zone: "a", sub_zone: "" } },
    authorities: authority === undefined ? {} : { [authority]: { xds_servers: [server] } },
  });
}
