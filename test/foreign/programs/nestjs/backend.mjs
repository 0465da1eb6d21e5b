import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { once } from "node:events";
import { EchoController, freeAddress, grpcOptions } from "./echo-controller.mjs";

class EchoModule {}
Module({ controllers: [EchoController] })(EchoModule);

/** A microservice that serves until SIGTERM. */
export async function main({ onServer = () => {} } = {}) {
  const url = await freeAddress();
  const app = await NestFactory.createMicroservice(EchoModule, {
    logger: false,
    ...grpcOptions(url, { onLoadPackageDefinition: (_, server) => onServer(server) }),
  });
  await app.listen();
  console.log(`Serving on ${url}`);
  await once(process, "SIGTERM");
  await app.close();
}
