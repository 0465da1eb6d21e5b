import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { fileURLToPath } from "node:url";

/** A request or a response of the Echo service. */
export interface EchoMessage {
  message: string;
}

const definition = loadSync(fileURLToPath(new URL("../../echo.proto", import.meta.url)), {
  defaults: true,
});
/** The definition of the Echo service. */
export const echoService = definition["grpc.examples.echo.Echo"] as grpc.ServiceDefinition;

type Reply = grpc.requestCallback<EchoMessage>;

/** A client of the Echo service. */
export interface EchoClient extends grpc.Client {
  UnaryEcho(request: EchoMessage, options: grpc.CallOptions, reply: Reply): grpc.ClientUnaryCall;
  ServerStreamingEcho(
    request: EchoMessage,
    options?: grpc.CallOptions,
  ): grpc.ClientReadableStream<EchoMessage>;
  ClientStreamingEcho(reply: Reply): grpc.ClientWritableStream<EchoMessage>;
  BidirectionalStreamingEcho(
    options?: grpc.CallOptions,
  ): grpc.ClientDuplexStream<EchoMessage, EchoMessage>;
}

/** Creates a client of the Echo service, by default without TLS. */
export function echoClient(
  target: string,
  options: grpc.ClientOptions,
  credentials = grpc.credentials.createInsecure(),
): EchoClient {
  const Client = grpc.makeClientConstructor(echoService, "Echo");
  return new Client(target, credentials, options) as unknown as EchoClient;
}

/**
 * Handlers of the Echo service. A unary call with the message `status 9` fails with that code, and
 * one with `hang` is never answered. Any other message comes back, three times on a server stream.
 */
export const echoHandlers: grpc.UntypedServiceImplementation = {
  UnaryEcho(
    call: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
    reply: grpc.sendUnaryData<EchoMessage>,
  ) {
    if (call.request.message === "hang") return;
    const failure = plannedFailure(call.request.message);
    if (failure) reply(failure);
    else reply(null, call.request);
  },
  ServerStreamingEcho(call: grpc.ServerWritableStream<EchoMessage, EchoMessage>) {
    for (let i = 0; i < 3; i++) call.write(call.request);
    call.end();
  },
  ClientStreamingEcho(
    call: grpc.ServerReadableStream<EchoMessage, EchoMessage>,
    reply: grpc.sendUnaryData<EchoMessage>,
  ) {
    let last: EchoMessage = { message: "" };
    call.on("data", (request: EchoMessage) => last = request);
    call.on("end", () => reply(null, last));
  },
  BidirectionalStreamingEcho(call: grpc.ServerDuplexStream<EchoMessage, EchoMessage>) {
    call.on("data", (request: EchoMessage) => call.write(request));
    call.on("end", () => call.end());
  },
};

function plannedFailure(message: string): grpc.ServiceError | undefined {
  const code = /^status (\d+)$/.exec(message)?.[1];
  if (code === undefined) return undefined;
  return Object.assign(new Error(message), {
    code: Number(code),
    details: message,
    metadata: new grpc.Metadata(),
  });
}

/** The name of a status code in the Go plugin's form. */
export function statusName(code: number): string {
  return grpc.status[code] ?? `CODE(${code})`;
}

/** Binds a server to a free port of the loopback interface, and returns the port. */
export function listen(
  server: grpc.Server,
  credentials = grpc.ServerCredentials.createInsecure(),
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
}

/** Makes a unary call. Resolves with the text of the reply, or the status name of the failure. */
export function unary(
  client: EchoClient,
  message: string,
  options: grpc.CallOptions = {},
): Promise<string> {
  return new Promise((resolve) => {
    client.UnaryEcho({ message }, options, (error, reply) => {
      resolve(error ? grpc.status[error.code] ?? String(error.code) : reply!.message);
    });
  });
}

/** Reads a stream to its end. Resolves with the texts, or the status name of the failure. */
export function readAll(
  stream: grpc.ClientReadableStream<EchoMessage>,
): Promise<string[] | string> {
  return new Promise((resolve) => {
    const texts: string[] = [];
    stream.on("data", (reply: EchoMessage) => texts.push(reply.message));
    stream.on("error", (error: grpc.ServiceError) => resolve(grpc.status[error.code] ?? "?"));
    stream.on("end", () => resolve(texts));
  });
}
