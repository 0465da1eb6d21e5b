import { credentials, loadPackageDefinition, Server } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { customLabel } from "../../../plugin/mod.ts";
import type { ProtoGrpcType } from "../generated/proto-loader/echo.ts";
import { echo, listen, response, responses, send } from "./grpc-js.ts";
import type { Kit } from "./kit.ts";

const loaded = loadPackageDefinition(loadSync("echo.proto", { defaults: true }));
const { Echo } = (loaded as unknown as ProtoGrpcType).grpc.examples.echo;

export const protoLoader: Kit = {
  serve(otel, address) {
    const server = otel.instrumentServer(new Server());
    server.addService(Echo.service, echo);
    return listen(server, address);
  },

  connect(otel, address) {
    const client = new Echo(address, credentials.createInsecure(), otel.clientOptions());
    return {
      unary: (message) => response((reply) => client.unaryEcho({ message }, reply)),
      serverStreaming: (message) => responses(client.serverStreamingEcho({ message })),
      clientStreaming: (texts) =>
        response((reply) => send(client.clientStreamingEcho(reply), texts)),
      bidirectionalStreaming(texts) {
        const stream = client.bidirectionalStreamingEcho();
        send(stream, texts);
        return responses(stream);
      },
      labelled: (message, label) =>
        response((reply) => client.unaryEcho({ message }, customLabel(label), reply)),
      close: () => client.close(),
    };
  },
};
