/** Where a case is played: recorded clients and servers in this process, raw servers in others. */
import * as grpc from "@grpc/grpc-js";
import { fileURLToPath } from "node:url";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { echoService } from "../support/echo.ts";
import { run, Script } from "../support/script.ts";
import type { Owner } from "../support/script.ts";
import { Recording } from "../support/series.ts";
import { plannedHandlers } from "./handlers.ts";
import { gained, snapshot } from "./observed.ts";
import type { Snapshot } from "./observed.ts";
import type { Gained } from "./recorded.ts";

export interface ServerSettings {
  /** `false` for a server without the plugin. */
  readonly recorded?: boolean;
  readonly options?: grpc.ServerOptions;
  /** `127.0.0.1:0` if nothing is said. */
  readonly address?: string;
  readonly credentials?: grpc.ServerCredentials;
  /** Called before the server is bound. */
  readonly prepare?: (server: grpc.Server) => void;
  /** `false` for a server that serves nothing but what `prepare` adds. */
  readonly echo?: boolean;
}

export interface ClientSettings {
  readonly options?: grpc.ClientOptions;
  readonly credentials?: grpc.ChannelCredentials;
  readonly plugin?: Omit<GrpcOpenTelemetryOptions, "meterProvider">;
}

export interface RunningServer {
  readonly server: grpc.Server;
  readonly port: number;
}

/** The path of the program `child-server.ts`. */
export const CHILD_SERVER = fileURLToPath(
  new URL("child-server.ts", import.meta.url),
);

const RAW_SERVER = fileURLToPath(new URL("raw-server.ts", import.meta.url));
const NOTHING: Snapshot = new Map();

export class Stage {
  readonly owner: Owner;
  readonly clientRecording = new Recording();
  readonly serverRecording = new Recording();
  readonly #servers: grpc.Server[] = [];
  readonly #clients: grpc.Client[] = [];
  #raw: Script | undefined;
  #before = { client: NOTHING, server: NOTHING };
  readonly #names = new Map<string, string>();

  constructor(owner: Owner) {
    this.owner = owner;
  }

  /** Starts an Echo server whose handlers do as the requests' metadata plans. */
  async server(settings: ServerSettings = {}): Promise<RunningServer> {
    const server = new grpc.Server(settings.options);
    if (settings.recorded ?? true) {
      new GrpcOpenTelemetry({
        meterProvider: this.serverRecording.meterProvider,
      })
        .instrumentServer(server);
    }
    if (settings.echo ?? true) server.addService(echoService, plannedHandlers);
    settings.prepare?.(server);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(
        settings.address ?? "127.0.0.1:0",
        settings.credentials ?? grpc.ServerCredentials.createInsecure(),
        (error, bound) => error ? reject(error) : resolve(bound),
      );
    });
    this.#servers.push(server);
    return { server, port };
  }

  /** Makes a recorded client with connections of its own. */
  client(target: string, settings: ClientSettings = {}): grpc.Client {
    const plugin = new GrpcOpenTelemetry({
      meterProvider: this.clientRecording.meterProvider,
      ...settings.plugin,
    });
    const client = new grpc.Client(
      target,
      settings.credentials ?? grpc.credentials.createInsecure(),
      plugin.clientOptions({
        "grpc.use_local_subchannel_pool": 1,
        "grpc.service_config_disable_resolution": 1,
        ...settings.options,
      }),
    );
    this.#clients.push(client);
    return client;
  }

  /** A server and a client that is connected to it by the name `localhost`. */
  async pair(
    settings: { client?: ClientSettings; server?: ServerSettings } = {},
  ): Promise<RunningServer & { client: grpc.Client }> {
    const running = await this.server(settings.server);
    const client = this.client(`localhost:${running.port}`, settings.client);
    await connected(client);
    return { ...running, client };
  }

  /** Starts a server that gives its streams one plan of `raw-server.ts` after the other. */
  async raw(...plans: string[]): Promise<number> {
    this.#raw = new Script(this.owner, run("node", RAW_SERVER, ...plans));
    return Number(await this.#raw.printed(/^Listening on (\d+)\n/m));
  }

  /** Has the raw server send GOAWAY with the code ENHANCE_YOUR_CALM. */
  async calm(): Promise<void> {
    // Not by the child process's own `kill`: on Deno, that works once in a child's life.
    process.kill(
      Number(await this.#raw?.printed(/^Process (\d+)\n/m)),
      "SIGUSR2",
    );
  }

  /** The plans of the streams that the raw server saw. */
  streamsSeen(): string[] {
    return [...this.#raw?.stdout.matchAll(/^stream (\S+) /gm) ?? []].map((
      [, plan],
    ) => plan!);
  }

  /** What was recorded until now does not count. */
  async forget(): Promise<void> {
    this.#before = {
      client: await snapshot(this.clientRecording),
      server: await snapshot(this.serverRecording),
    };
  }

  /** Has a part of a target shown as it was when the case was recorded. */
  rename(actual: string, recorded: string): void {
    this.#names.set(actual, recorded);
  }

  /** What a side's series gained. */
  async gained(side: "client" | "server"): Promise<Gained[]> {
    const recording = side === "client" ? this.clientRecording : this.serverRecording;
    const all = gained(side, this.#before[side], await snapshot(recording));
    return all.map((series) => {
      let target = series["grpc.target"];
      if (target === undefined) return series;
      for (const [actual, recorded] of this.#names) {
        target = target.replace(actual, recorded);
      }
      return { ...series, "grpc.target": target };
    });
  }

  /** Stops every client and server; what is still under way is cut off. */
  close(): void {
    for (const client of this.#clients) client.close();
    for (const server of this.#servers) server.forceShutdown();
  }
}

/** Waits until a client has a connection: what follows does not begin with one. */
export function connected(client: grpc.Client): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(
      Date.now() + 30_000,
      (error) => error ? reject(error) : resolve(),
    );
  });
}
