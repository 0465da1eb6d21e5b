import type * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { fileURLToPath } from "node:url";
import type { StartCall } from "./load.ts";

/** A copy of grpc-js. A parameter, because instrumentation may have to patch it before it loads. */
export type Grpc = typeof grpc;

/** The request and the reply of `echo.proto`. */
export interface EchoMessage {
  message: string;
}

/** The message of the codelab's client: 30 characters. */
export const REQUEST: EchoMessage = { message: "this is examples/opentelemetry" };

/** The service of `echo.proto`. */
export const ECHO = loadSync(fileURLToPath(new URL("../../echo.proto", import.meta.url)))[
  "grpc.examples.echo.Echo"
] as grpc.ServiceDefinition;

/**
 * Returns a service with a number of methods, which are copies of `UnaryEcho` under other names.
 * For one method, returns the service of `echo.proto`.
 */
export function echoService(methods: number): grpc.ServiceDefinition {
  if (methods === 1) return ECHO;
  const unary = ECHO["UnaryEcho"]!;
  return Object.fromEntries(
    Array.from({ length: methods }, (_, i) => [`UnaryEcho${i}`, {
      ...unary,
      path: `${unary.path}${i}`,
      originalName: `unaryEcho${i}`,
    }]),
  );
}

/** Adds a service whose unary methods answer immediately with the request. */
export function addEchoService(server: grpc.Server, service: grpc.ServiceDefinition): void {
  const answer = (
    call: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
    reply: grpc.sendUnaryData<EchoMessage>,
  ) => reply(null, call.request);
  const names = Object.keys(service).filter((name) => name.startsWith("UnaryEcho"));
  server.addService(service, Object.fromEntries(names.map((name) => [name, answer])));
}

/**
 * Binds a server to a free port of the loopback interface.
 *
 * @returns The port.
 */
export function listen({ ServerCredentials }: Grpc, server: grpc.Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
}

/** Returns a function that calls the methods of a service in turn over one channel. */
export function unaryCalls(
  { credentials, makeClientConstructor }: Grpc,
  port: string,
  options: grpc.ClientOptions,
  service = ECHO,
): StartCall {
  const Client = makeClientConstructor(service, "Echo");
  type Method = (request: EchoMessage, reply: grpc.requestCallback<EchoMessage>) => void;
  const client = new Client(
    `127.0.0.1:${port}`,
    credentials.createInsecure(),
    options,
  ) as unknown as Record<string, Method>;
  const names = Object.keys(service).filter((name) => name.startsWith("UnaryEcho"));
  if (names.length === 1) return (done) => client["UnaryEcho"]!(REQUEST, done);
  let next = 0;
  return (done) => {
    client[names[next]!]!(REQUEST, done);
    next = (next + 1) % names.length;
  };
}
