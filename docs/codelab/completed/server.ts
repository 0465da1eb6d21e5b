/** The gRPC Echo server. It sends each message back after two seconds. */
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { GrpcOpenTelemetry } from "grpc-js-opentelemetry";
import { PrometheusReader, startScrapeEndpoint } from "grpc-js-opentelemetry/prometheus";
import { setTimeout as pause } from "node:timers/promises";

interface EchoMessage {
  message: string;
}

const service = loadSync("echo.proto")["grpc.examples.echo.Echo"] as grpc.ServiceDefinition;

const exporter = new PrometheusReader();
const provider = new MeterProvider({ readers: [exporter] });
const endpoint = await startScrapeEndpoint({ reader: exporter, host: "127.0.0.1", port: 9464 });
console.log(`Metrics at ${endpoint.url}`);

const otel = new GrpcOpenTelemetry({ meterProvider: provider });

const server = otel.instrumentServer(new grpc.Server());

server.addService(service, {
  async UnaryEcho(
    { request }: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
    reply: grpc.sendUnaryData<EchoMessage>,
  ) {
    await pause(2000);
    reply(null, { message: `${request.message} (from :50051)` });
  },
});

server.bindAsync("localhost:50051", grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  console.log("Serving on :50051");
});
