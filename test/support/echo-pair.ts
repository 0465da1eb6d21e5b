import * as grpc from "@grpc/grpc-js";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { echoClient, echoHandlers, echoService, listen } from "./echo.ts";
import type { EchoClient } from "./echo.ts";
import { Recording } from "./series.ts";

/** An instrumented Echo server and client in this process, connected over a real socket. */
export interface EchoPair {
  readonly recording: Recording;
  readonly server: grpc.Server;
  readonly port: number;
  readonly client: EchoClient;
}

export interface EchoPairOptions {
  readonly plugin?: Omit<GrpcOpenTelemetryOptions, "meterProvider">;
  readonly client?: grpc.ClientOptions;
  readonly server?: grpc.ServerOptions;
  readonly handlers?: grpc.UntypedServiceImplementation;
}

/** Runs `body` with a new pair, and stops both sides afterwards. */
export async function withEchoPair(
  options: EchoPairOptions,
  body: (pair: EchoPair) => Promise<void>,
): Promise<void> {
  const recording = new Recording();
  const plugin = new GrpcOpenTelemetry({
    meterProvider: recording.meterProvider,
    ...options.plugin,
  });
  const server = plugin.instrumentServer(new grpc.Server(options.server));
  server.addService(echoService, { ...echoHandlers, ...options.handlers });
  const port = await listen(server);
  const client = echoClient(`localhost:${port}`, plugin.clientOptions(options.client));
  try {
    await body({ recording, server, port, client });
  } finally {
    client.close();
    server.forceShutdown();
  }
}

const ECHO = "grpc.examples.echo.Echo";

/** The client's series after `count` calls of one attempt each that ended with the same status. */
export function clientSeries(
  method: string,
  status: string,
  { sent, received, count = 1 }: { sent: number; received: number; count?: number },
): Record<string, string> {
  const labels = `{method=${ECHO}/${method},status=${status}}`;
  return {
    [`grpc.client.attempt.started{method=${ECHO}/${method}}`]: `${count}`,
    [`grpc.client.attempt.duration${labels}`]: `${count}`,
    [`grpc.client.attempt.sent_total_compressed_message_size${labels}`]: `${count} (${sent})`,
    [`grpc.client.attempt.rcvd_total_compressed_message_size${labels}`]: `${count} (${received})`,
    [`grpc.client.call.duration${labels}`]: `${count}`,
  };
}

/**
 * The server's series after `count` calls that ended with the same status.
 *
 * @param method A method of the Echo service, or `other` for unregistered ones.
 */
export function serverSeries(
  method: string,
  status: string,
  { sent, received, count = 1 }: { sent: number; received: number; count?: number },
): Record<string, string> {
  const label = method === "other" ? method : `${ECHO}/${method}`;
  const labels = `{method=${label},status=${status}}`;
  return {
    [`grpc.server.call.started{method=${label}}`]: `${count}`,
    [`grpc.server.call.duration${labels}`]: `${count}`,
    [`grpc.server.call.sent_total_compressed_message_size${labels}`]: `${count} (${sent})`,
    [`grpc.server.call.rcvd_total_compressed_message_size${labels}`]: `${count} (${received})`,
  };
}
