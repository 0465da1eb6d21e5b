import { Server } from "@grpc/grpc-js";
import { createChannel, createClient, createServer, ServerError, Status } from "nice-grpc";
import { EchoDefinition } from "../generated/nice-grpc/echo.ts";
import type { EchoServiceImplementation } from "../generated/nice-grpc/echo.ts";
import type { Message } from "./grpc-js.ts";
import type { Kit } from "./kit.ts";

const echo: EchoServiceImplementation = {
  unaryEcho(request) {
    return request.message === "fail"
      ? Promise.reject(new ServerError(Status.FAILED_PRECONDITION, "planned"))
      : Promise.resolve(request);
  },
  async *serverStreamingEcho(request) {
    yield request;
    yield request;
  },
  async clientStreamingEcho(requests) {
    let last: Message = { message: "" };
    for await (const request of requests) last = request;
    return last;
  },
  async *bidirectionalStreamingEcho(requests) {
    yield* requests;
  },
};

async function* messages(texts: readonly string[]): AsyncGenerator<Message> {
  for (const message of texts) yield { message };
}

async function texts(responses: AsyncIterable<Message>): Promise<string[]> {
  const texts: string[] = [];
  for await (const { message } of responses) texts.push(message);
  return texts;
}

export const niceGrpc: Kit = {
  async serve(otel, address) {
    const server = createServer();
    server.add(EchoDefinition, echo);

    const { bindAsync } = Server.prototype;
    Server.prototype.bindAsync = function (...args) {
      bindAsync.apply(otel.instrumentServer(this), args);
    };
    const listening = server.listen(address);
    Server.prototype.bindAsync = bindAsync;

    return { port: await listening, stop: () => server.forceShutdown() };
  },

  connect(otel, address) {
    const channel = createChannel(address);
    otel.instrumentChannel(channel);
    const client = createClient(EchoDefinition, channel);
    return {
      unary: async (message) => (await client.unaryEcho({ message })).message,
      serverStreaming: (message) => texts(client.serverStreamingEcho({ message })),
      clientStreaming: async (texts) => (await client.clientStreamingEcho(messages(texts))).message,
      bidirectionalStreaming: (requests) =>
        texts(client.bidirectionalStreamingEcho(messages(requests))),
      close: () => channel.close(),
    };
  },
};
