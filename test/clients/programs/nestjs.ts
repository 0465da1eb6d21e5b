import { status } from "@grpc/grpc-js";
import type { CallOptions } from "@grpc/grpc-js";
import { Controller, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import {
  ClientProxyFactory,
  GrpcMethod,
  GrpcStreamCall,
  RpcException,
  Transport,
} from "@nestjs/microservices";
import type { ClientGrpcProxy, MicroserviceOptions } from "@nestjs/microservices";
import { fileURLToPath } from "node:url";
import "reflect-metadata";
import { from, lastValueFrom, map, of, throwError, toArray } from "rxjs";
import type { Observable } from "rxjs";
import { customLabel } from "../../../plugin/mod.ts";
import { freePort } from "../../support/ports.ts";
import { echo } from "./grpc-js.ts";
import type { Message } from "./grpc-js.ts";
import type { Kit } from "./kit.ts";

const protoPath = fileURLToPath(new URL("../../../echo.proto", import.meta.url));

class EchoController {
  unaryEcho(request: Message): Observable<Message> {
    if (request.message !== "fail") return of(request);
    return throwError(() =>
      new RpcException({ code: status.FAILED_PRECONDITION, message: "planned" })
    );
  }
  serverStreamingEcho(request: Message): Observable<Message> {
    return of(request, request);
  }
  // A handler that gets an Observable may miss the end of a stream that ends at once.
  clientStreamingEcho(...args: Parameters<typeof echo.clientStreamingEcho>): void {
    echo.clientStreamingEcho(...args);
  }
  bidirectionalStreamingEcho(...args: Parameters<typeof echo.bidirectionalStreamingEcho>): void {
    echo.bidirectionalStreamingEcho(...args);
  }
}

class EchoModule {}

// Decorators, called as functions: Node strips types and does not transform decorators.
const { prototype } = EchoController;
function decorate(decorator: MethodDecorator, name: keyof EchoController): void {
  decorator(prototype, name, Object.getOwnPropertyDescriptor(prototype, name)!);
}
decorate(GrpcMethod("Echo", "UnaryEcho"), "unaryEcho");
decorate(GrpcMethod("Echo", "ServerStreamingEcho"), "serverStreamingEcho");
decorate(GrpcStreamCall("Echo", "ClientStreamingEcho"), "clientStreamingEcho");
decorate(GrpcStreamCall("Echo", "BidirectionalStreamingEcho"), "bidirectionalStreamingEcho");
Controller()(EchoController);
Module({ controllers: [EchoController] })(EchoModule);

/** The service, as NestJS's client returns it. */
interface EchoService {
  unaryEcho(request: Message, options?: CallOptions): Observable<Message>;
  serverStreamingEcho(request: Message): Observable<Message>;
  clientStreamingEcho(requests: Observable<Message>): Observable<Message>;
  bidirectionalStreamingEcho(requests: Observable<Message>): Observable<Message>;
}

const text = map(({ message }: Message) => message);

function messages(texts: readonly string[]): Observable<Message> {
  return from(texts.map((message) => ({ message })));
}

export const nestjs: Kit = {
  async serve(otel, address) {
    // NestJS does not tell which port it got.
    const port = await freePort();
    const app = await NestFactory.createMicroservice<MicroserviceOptions>(EchoModule, {
      logger: false,
      transport: Transport.GRPC,
      options: {
        package: "grpc.examples.echo",
        protoPath,
        url: address.replace(/\d+$/, `${port}`),
        onLoadPackageDefinition(_, server) {
          otel.instrumentServer(server);
        },
      },
    });
    await app.listen();
    return { port, stop: () => void app.close() };
  },

  connect(otel, url) {
    const client = ClientProxyFactory.create({
      transport: Transport.GRPC,
      options: {
        package: "grpc.examples.echo",
        protoPath,
        url,
        channelOptions: otel.clientOptions(),
      },
    }) as unknown as ClientGrpcProxy;
    const service = client.getService<EchoService>("Echo");
    return {
      unary: (message) => lastValueFrom(service.unaryEcho({ message }).pipe(text)),
      serverStreaming: (message) =>
        lastValueFrom(service.serverStreamingEcho({ message }).pipe(text, toArray())),
      clientStreaming: (texts) =>
        lastValueFrom(service.clientStreamingEcho(messages(texts)).pipe(text)),
      bidirectionalStreaming: (texts) =>
        lastValueFrom(service.bidirectionalStreamingEcho(messages(texts)).pipe(text, toArray())),
      labelled: (message, label) =>
        lastValueFrom(service.unaryEcho({ message }, customLabel(label)).pipe(text)),
      close: () => client.close(),
    };
  },
};
