/**
 * An Echo server or client, with or without interceptors that record to prom-client:
 * `prom-client.ts server bare|instrumented` or `prom-client.ts client PORT bare|instrumented`. Each
 * side records calls started, calls ended, messages sent and received, and a latency histogram with
 * the plugin's bounds.
 *
 * @module
 */
import type * as grpcTypes from "@grpc/grpc-js";
import { LATENCY_BOUNDS_SECONDS } from "../../plugin/metrics/definitions.ts";
import { answerCommands, cpuMicroseconds } from "../programs/commands.ts";
import { addEchoService, ECHO, listen, unaryCalls } from "../programs/echo.ts";
import type { Grpc } from "../programs/echo.ts";
import { serveLoad } from "../programs/load.ts";
import { requirePeer } from "./packages.ts";
import type { PromClient } from "./packages.ts";

const grpc = requirePeer("@grpc/grpc-js") as Grpc;
const { Counter, Histogram, register } = requirePeer("prom-client") as PromClient;

function createMetrics(side: string) {
  const started = new Counter({
    name: `grpc_${side}_started_total`,
    help: "Calls started.",
    labelNames: ["grpc_method"],
  });
  const handled = new Counter({
    name: `grpc_${side}_handled_total`,
    help: "Calls ended.",
    labelNames: ["grpc_method", "grpc_code"],
  });
  const sent = new Counter({
    name: `grpc_${side}_msg_sent_total`,
    help: "Messages sent.",
    labelNames: ["grpc_method"],
  });
  const received = new Counter({
    name: `grpc_${side}_msg_received_total`,
    help: "Messages received.",
    labelNames: ["grpc_method"],
  });
  const seconds = new Histogram({
    name: `grpc_${side}_handling_seconds`,
    help: "Latency of calls.",
    labelNames: ["grpc_method", "grpc_code"],
    buckets: LATENCY_BOUNDS_SECONDS,
  });
  return { started, handled, sent, received, seconds };
}

type Metrics = ReturnType<typeof createMetrics>;

function clientInterceptor(metrics: Metrics): grpcTypes.Interceptor {
  return (options, nextCall) => {
    const labels = { grpc_method: options.method_definition.path };
    const startMs = performance.now();
    metrics.started.inc(labels);
    return new grpc.InterceptingCall(nextCall(options), {
      start(metadata, _listener, next) {
        next(metadata, {
          onReceiveMessage(message, nextMessage) {
            if (message) metrics.received.inc(labels);
            nextMessage(message);
          },
          onReceiveStatus(status, nextStatus) {
            const ended = { ...labels, grpc_code: grpc.status[status.code]! };
            metrics.handled.inc(ended);
            metrics.seconds.observe(ended, (performance.now() - startMs) / 1000);
            nextStatus(status);
          },
        });
      },
      sendMessage(message, next) {
        metrics.sent.inc(labels);
        next(message);
      },
    });
  };
}

function serverInterceptor(metrics: Metrics): grpcTypes.ServerInterceptor {
  return (method, call) => {
    const labels = { grpc_method: method.path };
    const startMs = performance.now();
    metrics.started.inc(labels);
    return new grpc.ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMessage(message, nextMessage) {
            metrics.received.inc(labels);
            nextMessage(message);
          },
        });
      },
      sendMessage(message, next) {
        metrics.sent.inc(labels);
        next(message);
      },
      sendStatus(status, next) {
        const ended = { ...labels, grpc_code: grpc.status[status.code!]! };
        metrics.handled.inc(ended);
        metrics.seconds.observe(ended, (performance.now() - startMs) / 1000);
        next(status);
      },
    });
  };
}

async function recorded(): Promise<number> {
  const text = await register.metrics();
  return Number(/_started_total\{.*\} (\d+)/.exec(text)?.[1] ?? 0);
}

const [side, port = ""] = process.argv.slice(2);
const isInstrumented = process.argv.at(-1) === "instrumented";
if (side === "server") {
  const interceptors = isInstrumented ? [serverInterceptor(createMetrics("server"))] : [];
  const server = new grpc.Server({ interceptors });
  addEchoService(server, ECHO);
  answerCommands({ port: await listen(grpc, server) }, { cpu: cpuMicroseconds, recorded });
} else {
  const interceptors = isInstrumented ? [clientInterceptor(createMetrics("client"))] : [];
  serveLoad(unaryCalls(grpc, port, { interceptors }), recorded);
}
