import { Controller } from "@nestjs/common";
import { GrpcMethod, GrpcStreamCall, RpcException, Transport } from "@nestjs/microservices";
import { once } from "node:events";
import { createServer } from "node:net";
import "reflect-metadata";
import { from, lastValueFrom, of, throwError, toArray } from "rxjs";
import { handlers } from "../echo.cjs";

export class EchoController {
  unaryEcho(request) {
    if (request.message !== "fail") return of(request);
    return throwError(() => new RpcException({ code: 9, message: "planned" }));
  }
  serverStreamingEcho(request) {
    return of(request, request, request);
  }
  // A handler that gets an Observable may miss the end of a stream that ends at once.
  clientStreamingEcho(call, reply) {
    handlers.clientStreamingEcho(call, reply);
  }
  bidirectionalStreamingEcho(call) {
    handlers.bidirectionalStreamingEcho(call);
  }
}

/** Applies a method's decorator, as compiled TypeScript does. */
export function decorate({ prototype }, name, decorator) {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
  decorator(prototype, name, descriptor);
}

decorate(EchoController, "unaryEcho", GrpcMethod("Echo", "UnaryEcho"));
decorate(EchoController, "serverStreamingEcho", GrpcMethod("Echo", "ServerStreamingEcho"));
decorate(EchoController, "clientStreamingEcho", GrpcStreamCall("Echo", "ClientStreamingEcho"));
decorate(
  EchoController,
  "bidirectionalStreamingEcho",
  GrpcStreamCall("Echo", "BidirectionalStreamingEcho"),
);
Controller()(EchoController);

/** Options of a server, or of a client. */
export function grpcOptions(url, options) {
  return {
    transport: Transport.GRPC,
    options: { package: "grpc.examples.echo", protoPath: "echo.proto", url, ...options },
  };
}

/** Returns the calls of a NestJS client, see `calls.cjs`. */
export function callsOf(client) {
  const service = client.getService("Echo");
  const all = (replies) => lastValueFrom(replies.pipe(toArray()));
  return {
    unary: (request) => lastValueFrom(service.unaryEcho(request)),
    serverStreaming: (request) => all(service.serverStreamingEcho(request)),
    clientStreaming: (requests) => lastValueFrom(service.clientStreamingEcho(from(requests))),
    bidirectionalStreaming: (requests) => all(service.bidirectionalStreamingEcho(from(requests))),
  };
}

/** Returns an address that nobody listens on: NestJS does not tell which port it got. */
export async function freeAddress() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return `127.0.0.1:${port}`;
}
