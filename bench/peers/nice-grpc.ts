/**
 * An Echo server or client of nice-grpc, with or without `nice-grpc-prometheus` as its first
 * middleware: `nice-grpc.ts server bare|instrumented`, or
 * `nice-grpc.ts client PORT bare|instrumented`.
 *
 * @module
 */
import { answerCommands, cpuMicroseconds } from "../programs/commands.ts";
import { ECHO, REQUEST } from "../programs/echo.ts";
import type { EchoMessage } from "../programs/echo.ts";
import { serveLoad } from "../programs/load.ts";
import { requirePeer } from "./packages.ts";
import type { Registry } from "./packages.ts";

type UnaryEcho = (request: EchoMessage) => Promise<EchoMessage>;
type Service = Record<
  string,
  { readonly requestStream: boolean; readonly responseStream: boolean }
>;

interface NiceGrpc {
  createServer(): NiceServer;
  createClientFactory(): NiceClientFactory;
  createChannel(address: string): unknown;
}

interface NiceServer {
  use(middleware: unknown): NiceServer;
  add(service: Service, implementation: { UnaryEcho: UnaryEcho }): void;
  listen(address: string): Promise<number>;
}

interface NiceClientFactory {
  use(middleware: unknown): NiceClientFactory;
  create(service: Service, channel: unknown): { UnaryEcho: UnaryEcho };
}

interface NiceGrpcPrometheus {
  prometheusServerMiddleware(): unknown;
  prometheusClientMiddleware(): unknown;
  readonly registry: Registry;
}

const nice = requirePeer("nice-grpc") as NiceGrpc;
const prometheus = requirePeer("nice-grpc-prometheus") as NiceGrpcPrometheus;
const service: Service = { UnaryEcho: ECHO["UnaryEcho"]! };

async function recorded(): Promise<number> {
  const text = await prometheus.registry.metrics();
  return Number(/_started_total\{.*\} (\d+)/.exec(text)?.[1] ?? 0);
}

const [side, port = ""] = process.argv.slice(2);
const isInstrumented = process.argv.at(-1) === "instrumented";
if (side === "server") {
  const bare = nice.createServer();
  const server = isInstrumented ? bare.use(prometheus.prometheusServerMiddleware()) : bare;
  server.add(service, { UnaryEcho: (request) => Promise.resolve(request) });
  answerCommands({ port: await server.listen("127.0.0.1:0") }, { cpu: cpuMicroseconds, recorded });
} else {
  const bare = nice.createClientFactory();
  const factory = isInstrumented ? bare.use(prometheus.prometheusClientMiddleware()) : bare;
  const client = factory.create(service, nice.createChannel(`127.0.0.1:${port}`));
  serveLoad((done) => client.UnaryEcho(REQUEST).then(() => done(null), done), recorded);
}
