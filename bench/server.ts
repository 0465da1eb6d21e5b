/** Unary echo without delay; `bench/server.ts bare|plugin`. Prints its port. */
import * as grpc from "@grpc/grpc-js";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { PrometheusReader } from "../exposition/mod.ts";
import { GrpcOpenTelemetry } from "../plugin/mod.ts";
import { definition } from "./echo.ts";
import type { EchoMessage } from "./echo.ts";

const server = new grpc.Server();
if (process.argv[2] === "plugin") {
  const meterProvider = new MeterProvider({ readers: [new PrometheusReader()] });
  new GrpcOpenTelemetry({ meterProvider }).instrumentServer(server);
}
server.addService(definition, {
  UnaryEcho(
    call: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
    reply: grpc.sendUnaryData<EchoMessage>,
  ) {
    reply(null, call.request);
  },
});
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(port);
});
