/**
 * An Echo server or client, with or without `@opentelemetry/instrumentation-grpc`, which creates a
 * span for each call and records no metrics: `instrumentation-grpc.ts server bare|instrumented` or
 * `instrumentation-grpc.ts client PORT bare|instrumented`.
 *
 * @module
 */
import type { TracerProvider } from "@opentelemetry/api";
import { answerCommands, cpuMicroseconds } from "../programs/commands.ts";
import { addEchoService, ECHO, listen, unaryCalls } from "../programs/echo.ts";
import type { Grpc } from "../programs/echo.ts";
import { serveLoad } from "../programs/load.ts";
import { createTracing, SpanCounter } from "../programs/telemetry.ts";
import { requirePeer } from "./packages.ts";

interface Instrumentation {
  readonly GrpcInstrumentation: new () => { setTracerProvider(provider: TracerProvider): void };
}

const counter = new SpanCounter();
if (process.argv.at(-1) === "instrumented") {
  const { GrpcInstrumentation } = requirePeer(
    "@opentelemetry/instrumentation-grpc",
  ) as Instrumentation;
  new GrpcInstrumentation().setTracerProvider(createTracing(counter).tracerProvider);
}
const grpc = requirePeer("@grpc/grpc-js") as Grpc;
const recorded = () => counter.spans;

const [side, port = ""] = process.argv.slice(2);
if (side === "server") {
  const server = new grpc.Server();
  addEchoService(server, ECHO);
  answerCommands({ port: await listen(grpc, server) }, { cpu: cpuMicroseconds, recorded });
} else {
  serveLoad(unaryCalls(grpc, port, {}), recorded);
}
