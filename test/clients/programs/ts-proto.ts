import { credentials, Metadata, Server } from "@grpc/grpc-js";
import { customLabel } from "../../../plugin/mod.ts";
import { EchoClient, EchoService } from "../generated/ts-proto/echo.ts";
import { echo, listen, response, responses, send } from "./grpc-js.ts";
import type { Kit } from "./kit.ts";

export const tsProto: Kit = {
  serve(otel, address) {
    const server = otel.instrumentServer(new Server());
    server.addService(EchoService, echo);
    return listen(server, address);
  },

  connect(otel, address) {
    const client = new EchoClient(address, credentials.createInsecure(), otel.clientOptions());
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
        response((reply) =>
          client.unaryEcho({ message }, new Metadata(), customLabel(label), reply)
        ),
      close: () => client.close(),
    };
  },
};
