import { credentials, Server } from "@grpc/grpc-js";
import { adaptService } from "@protobuf-ts/grpc-backend";
import { GrpcTransport } from "@protobuf-ts/grpc-transport";
import { RpcError } from "@protobuf-ts/runtime-rpc";
import { customLabel } from "../../../plugin/mod.ts";
import { EchoClient } from "../generated/protobuf-ts/echo.client.js";
import { Echo } from "../generated/protobuf-ts/echo.js";
import type { IEcho } from "../generated/protobuf-ts/echo.server.js";
import { listen } from "./grpc-js.ts";
import type { Message } from "./grpc-js.ts";
import type { Kit } from "./kit.ts";

const echo: IEcho = {
  unaryEcho(request) {
    return request.message === "fail"
      ? Promise.reject(new RpcError("planned", "FAILED_PRECONDITION"))
      : Promise.resolve(request);
  },
  async serverStreamingEcho(request, responses) {
    await responses.send(request);
    await responses.send(request);
  },
  async clientStreamingEcho(requests) {
    let last: Message = { message: "" };
    for await (const request of requests) last = request;
    return last;
  },
  async bidirectionalStreamingEcho(requests, responses) {
    for await (const request of requests) await responses.send(request);
  },
};

async function texts(responses: AsyncIterable<Message>): Promise<string[]> {
  const texts: string[] = [];
  for await (const { message } of responses) texts.push(message);
  return texts;
}

export const protobufTs: Kit = {
  serve(otel, address) {
    const server = otel.instrumentServer(new Server());
    server.addService(...adaptService(Echo, echo));
    return listen(server, address);
  },

  connect(otel, address) {
    const transport = new GrpcTransport({
      host: address,
      channelCredentials: credentials.createInsecure(),
      clientOptions: otel.clientOptions(),
    });
    const client = new EchoClient(transport);
    return {
      unary: async (message) => (await client.unaryEcho({ message }).response).message,
      serverStreaming: (message) => texts(client.serverStreamingEcho({ message }).responses),
      async clientStreaming(messages) {
        const call = client.clientStreamingEcho();
        for (const message of messages) await call.requests.send({ message });
        await call.requests.complete();
        return (await call.response).message;
      },
      async bidirectionalStreaming(messages) {
        const call = client.bidirectionalStreamingEcho();
        const replies = texts(call.responses);
        for (const message of messages) await call.requests.send({ message });
        await call.requests.complete();
        return await replies;
      },
      async labelled(message, label) {
        const call = client.unaryEcho({ message }, { callOptions: customLabel(label) });
        return (await call.response).message;
      },
      close: () => transport.close(),
    };
  },
};
