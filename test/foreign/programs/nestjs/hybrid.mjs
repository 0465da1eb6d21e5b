import { Controller, Get, Inject, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ClientsModule } from "@nestjs/microservices";
import assert from "node:assert/strict";
import { makeCalls } from "../calls.cjs";
import { callsOf, decorate, EchoController, freeAddress, grpcOptions } from "./echo-controller.mjs";

class GatewayController {
  constructor(client) {
    this.client = client;
  }
  async run() {
    await makeCalls(callsOf(this.client));
    return "done";
  }
}
decorate(GatewayController, "run", Get("run"));
Inject("ECHO")(GatewayController, undefined, 0);
Controller()(GatewayController);

/**
 * A hybrid application: its HTTP side makes calls to its gRPC side, or to the service at the address
 * in `ECHO_URL`.
 */
export async function main({ onServer = () => {}, channelOptions } = {}) {
  const url = await freeAddress();
  const client = grpcOptions(process.env.ECHO_URL ?? url, { channelOptions });

  class AppModule {}
  Module({
    imports: [ClientsModule.register([{ name: "ECHO", ...client }])],
    controllers: [EchoController, GatewayController],
  })(AppModule);
  const app = await NestFactory.create(AppModule, { logger: false });
  app.connectMicroservice(
    grpcOptions(url, { onLoadPackageDefinition: (_, server) => onServer(server) }),
  );
  await app.startAllMicroservices();
  await app.listen(0, "127.0.0.1");

  const response = await fetch(`${await app.getUrl()}/run`);
  assert.equal(await response.text(), "done");
  await app.close();
}
