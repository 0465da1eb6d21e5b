/**
 * Code shared by the generators whose clients and servers use grpc-js directly.
 *
 * @module
 */
import { ServerCredentials, status } from "@grpc/grpc-js";
import type {
  ClientDuplexStream,
  ClientReadableStream,
  requestCallback,
  sendUnaryData,
  Server,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
} from "@grpc/grpc-js";
import type { Served } from "./kit.ts";

export interface Message {
  message: string;
}

/** The handlers under the names that most generators use. */
export const echo = {
  unaryEcho(call: ServerUnaryCall<Message, Message>, reply: sendUnaryData<Message>) {
    if (call.request.message === "fail") {
      reply({ code: status.FAILED_PRECONDITION, details: "planned" });
    } else {
      reply(null, call.request);
    }
  },
  serverStreamingEcho(call: ServerWritableStream<Message, Message>) {
    call.write(call.request);
    call.write(call.request);
    call.end();
  },
  clientStreamingEcho(call: ServerReadableStream<Message, Message>, reply: sendUnaryData<Message>) {
    let last: Message = { message: "" };
    call.on("data", (request: Message) => last = request);
    call.on("end", () => reply(null, last));
  },
  bidirectionalStreamingEcho(call: ServerDuplexStream<Message, Message>) {
    call.on("data", (request: Message) => call.write(request));
    call.on("end", () => call.end());
  },
};

/** Binds a server to an address without TLS. */
export function listen(server: Server, address: string): Promise<Served> {
  return new Promise((resolve, reject) => {
    server.bindAsync(
      address,
      ServerCredentials.createInsecure(),
      (error, port) => {
        if (error) reject(error);
        else resolve({ port, stop: () => server.forceShutdown() });
      },
    );
  });
}

/** Makes a call with a single response, and resolves with the response's text. */
export function response(
  start: (callback: requestCallback<Message>) => void,
): Promise<string> {
  return new Promise((resolve, reject) => {
    start((error, reply) => error ? reject(error) : resolve(reply!.message));
  });
}

/** Reads a stream of responses to its end, and resolves with their texts. */
export async function responses(
  stream: ClientReadableStream<Message> | ClientDuplexStream<Message, Message>,
): Promise<string[]> {
  const texts: string[] = [];
  for await (const { message } of stream as AsyncIterable<Message>) {
    texts.push(message);
  }
  return texts;
}

/** Sends all texts and half-closes. */
export function send(
  stream: { write(message: Message): void; end(): void },
  texts: readonly string[],
): void {
  for (const message of texts) stream.write({ message });
  stream.end();
}
