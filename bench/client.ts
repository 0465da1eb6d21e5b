/**
 * Unary calls, 50 at a time, over one channel; `bench/client.ts bare|plugin PORT SECONDS`. Prints
 * the calls per second after a second of warm-up.
 */
import * as grpc from "@grpc/grpc-js";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { PrometheusReader } from "../exposition/mod.ts";
import { GrpcOpenTelemetry } from "../plugin/mod.ts";
import { definition } from "./echo.ts";
import type { EchoMessage } from "./echo.ts";

const CONCURRENCY = 50;
const WARM_UP_MS = 1000;
const [variant, port, seconds] = process.argv.slice(2);

interface EchoClient extends grpc.Client {
  UnaryEcho(request: EchoMessage, reply: grpc.requestCallback<EchoMessage>): void;
}

const meterProvider = new MeterProvider({ readers: [new PrometheusReader()] });
const otel = new GrpcOpenTelemetry(variant === "plugin" ? { meterProvider } : {});
const Client = grpc.makeClientConstructor(definition, "Echo");
const client = new Client(
  `127.0.0.1:${port}`,
  grpc.credentials.createInsecure(),
  otel.clientOptions(),
) as unknown as EchoClient;

const request = { message: "this is examples/opentelemetry" };
const start = performance.now() + WARM_UP_MS;
const end = start + Number(seconds) * 1000;
let calls = 0;

function worker(): void {
  client.UnaryEcho(request, (error) => {
    if (error) throw error;
    const now = performance.now();
    if (now < end) {
      if (now >= start) calls++;
      worker();
    } else {
      console.log((calls / Number(seconds)).toFixed(0));
      process.exit(0);
    }
  });
}
for (let i = 0; i < CONCURRENCY; i++) worker();
