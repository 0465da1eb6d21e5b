import * as grpc from "@grpc/grpc-js";
import { fileURLToPath } from "node:url";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { METRIC_NAMES } from "../../plugin/metrics/definitions.ts";
import { echoService } from "../support/echo.ts";
import { run, Script } from "../support/script.ts";
import type { Owner } from "../support/script.ts";
import { Recording } from "../support/series.ts";
import { plannedHandlers } from "./handlers.ts";
import { gained, snapshot } from "./observed.ts";
import type { Snapshot } from "./observed.ts";
import type { Gained } from "./recorded.ts";

/** The properties of a server. */
export interface ServerSettings {
  /** `false` for a server without the plugin. */
  readonly recorded?: boolean;
  readonly options?: grpc.ServerOptions;
  /** By default `127.0.0.1:0`. */
  readonly address?: string;
  readonly credentials?: grpc.ServerCredentials;
  /** Called before the server is bound. */
  readonly prepare?: (server: grpc.Server) => void;
  /** `false` for a server without the Echo service. */
  readonly echo?: boolean;
}

/** The properties of a client. */
export interface ClientSettings {
  readonly options?: grpc.ClientOptions;
  readonly credentials?: grpc.ChannelCredentials;
  readonly plugin?: Omit<GrpcOpenTelemetryOptions, "meterProvider">;
}

/** A server that listens. */
export interface RunningServer {
  readonly server: grpc.Server;
  readonly port: number;
}

/** The path of the program `child-server.ts`. */
export const CHILD_SERVER = fileURLToPath(new URL("child-server.ts", import.meta.url));

const RAW_SERVER = fileURLToPath(new URL("raw-server.ts", import.meta.url));
const NOTHING: Snapshot = new Map();

/**
 * The clients and servers of a case with what they record: all metrics, also those that are off by
 * default. Raw servers run in other processes, all
 * others in this one.
 */
export class Harness {
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

  /** Starts an Echo server whose handlers follow the plans of their requests. */
  async server(settings: ServerSettings = {}): Promise<RunningServer> {
    const server = new grpc.Server(settings.options);
    if (settings.recorded ?? true) {
      new GrpcOpenTelemetry({
        meterProvider: this.serverRecording.meterProvider,
        enableMetrics: METRIC_NAMES,
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

  /** Creates an instrumented client that shares no connections with others. */
  client(target: string, settings: ClientSettings = {}): grpc.Client {
    const plugin = new GrpcOpenTelemetry({
      meterProvider: this.clientRecording.meterProvider,
      enableMetrics: METRIC_NAMES,
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

  /** Starts a server and a client that is connected to it as `localhost`. */
  async pair(
    settings: { client?: ClientSettings; server?: ServerSettings } = {},
  ): Promise<RunningServer & { client: grpc.Client }> {
    const running = await this.server(settings.server);
    const client = this.client(`localhost:${running.port}`, settings.client);
    await connected(client);
    return { ...running, client };
  }

  /** Starts a raw server whose streams follow plans of `raw-server.ts` in order. Returns its port. */
  async raw(...plans: string[]): Promise<number> {
    this.#raw = new Script(this.owner, run("node", RAW_SERVER, ...plans));
    return Number(await this.#raw.printed(/^Listening on (\d+)\n/m));
  }

  /** Makes the raw server send GOAWAY with the code ENHANCE_YOUR_CALM. */
  async calm(): Promise<void> {
    // On Deno, the `kill` method of a child process works only once.
    process.kill(Number(await this.#raw?.printed(/^Process (\d+)\n/m)), "SIGUSR2");
  }

  /** Returns the plans of the streams that the raw server saw. */
  streamsSeen(): string[] {
    return [...this.#raw?.stdout.matchAll(/^stream (\S+) /gm) ?? []].map(([, plan]) => plan!);
  }

  /** Ignores what was recorded until now. */
  async forget(): Promise<void> {
    this.#before = {
      client: await snapshot(this.clientRecording),
      server: await snapshot(this.serverRecording),
    };
  }

  /** Replaces a part of target labels by the text in the recorded case. */
  rename(actual: string, recorded: string): void {
    this.#names.set(actual, recorded);
  }

  /** Returns how much one side's series grew. */
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

  /** Stops all clients and servers, and aborts their calls. */
  close(): void {
    for (const client of this.#clients) client.close();
    for (const server of this.#servers) server.forceShutdown();
  }
}

/** Waits until a client is connected. */
export function connected(client: grpc.Client): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + 30_000, (error) => error ? reject(error) : resolve());
  });
}
