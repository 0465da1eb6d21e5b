import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ClientProxyFactory } from "@nestjs/microservices";
import { makeCalls } from "../calls.cjs";
import { callsOf, EchoController, freeAddress, grpcOptions } from "./echo-controller.mjs";

class EchoModule {}
Module({ controllers: [EchoController] })(EchoModule);

/** A microservice and its client. */
export async function main({ onServer = () => {}, channelOptions } = {}) {
  const url = await freeAddress();
  const app = await NestFactory.createMicroservice(EchoModule, {
    logger: false,
    ...grpcOptions(url, { onLoadPackageDefinition: (_, server) => onServer(server) }),
  });
  await app.listen();

  const client = ClientProxyFactory.create(grpcOptions(url, { channelOptions }));
  await makeCalls(callsOf(client));
  client.close();
  await app.close();
}
