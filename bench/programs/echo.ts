import type * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { fileURLToPath } from "node:url";
import type { StartCall } from "./load.ts";

/** Which copy of grpc-js a program uses: what patches it has to be there before it is loaded. */
export type Grpc = typeof grpc;

/** Both the request and the reply of `echo.proto`. */
export interface EchoMessage {
  message: string;
}

/** The 30 characters that the codelab's client sends. */
export const REQUEST: EchoMessage = { message: "this is examples/opentelemetry" };

/** The service of `echo.proto`. */
export const ECHO = loadSync(fileURLToPath(new URL("../../echo.proto", import.meta.url)))[
  "grpc.examples.echo.Echo"
] as grpc.ServiceDefinition;

/**
 * A service of so many methods, each of which is `UnaryEcho` under another name; with one method it
 * is that of `echo.proto`.
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

/** Serves a service's methods, all of them unary: each answers at once with what it was asked. */
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
 * @returns the port
 */
export function listen({ ServerCredentials }: Grpc, server: grpc.Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
}

/** Calls over one channel, with the client class that a definition gives; each method in turn. */
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
