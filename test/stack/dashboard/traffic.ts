import * as grpc from "@grpc/grpc-js";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { setTimeout as delay } from "node:timers/promises";
import { GrpcOpenTelemetry } from "../../../plugin/mod.ts";
import { PrometheusReader, startScrapeEndpoint } from "../../../prometheus/mod.ts";
import { echoClient, echoHandlers, echoService, listen, unary } from "../../support/echo.ts";
import { freePort } from "../../support/ports.ts";
import { retrying } from "../../support/retrying.ts";
import { startClient, startServer } from "../../support/script.ts";
import type { Owner } from "../../support/script.ts";
import { startMetricsProgram } from "../../xds/running-metrics-program.ts";
import { startCalls } from "../rules/all-calls.ts";

/** The URLs of `/metrics` pages by job. */
export type Jobs = Readonly<Record<string, readonly string[]>>;

/**
 * Starts all that the dashboard's tests start, and programs on the other runtimes whose load changes
 * with the time, so that each panel has something to show.
 *
 * @param seconds How long the traffic lasts. In the middle, there are more calls for a fifth of it.
 */
export async function startTraffic(owner: Owner, seconds: number): Promise<Jobs> {
  const [calls, balanced] = await Promise.all([startCalls(owner), startMetricsProgram(owner)]);
  if (balanced === undefined) throw new Error("The xDS control plane is missing");
  const server = await startServer(owner, "bun", { ECHO_DELAY_MS: "24" });
  const to = { ECHO_ADDR: server.address };
  const clients = await Promise.all([
    startClient(owner, "deno", {
      ...to,
      ECHO_METHOD: "BidirectionalStreamingEcho",
      ECHO_QPS: "12",
      ECHO_CONCURRENCY: "4",
    }),
    startClient(owner, "bun", {
      ...to,
      ECHO_METHOD: "ClientStreamingEcho",
      ECHO_QPS: "6",
      ECHO_CONCURRENCY: "2",
    }),
  ]);
  const port = await freePort();
  const burst = delay(seconds * 2 / 5 * 1000, undefined, { ref: false }).then(() =>
    startClient(owner, "node", {
      ...to,
      OTEL_EXPORTER_PROMETHEUS_PORT: `${port}`,
      ECHO_QPS: "40",
      ECHO_CONCURRENCY: "10",
      ECHO_DURATION_S: `${seconds / 5}`,
    })
  );
  owner.after(async () => void await burst);
  return {
    "echo-server": [...calls.jobs["echo-server"], server.metricsUrl],
    "echo-client": [
      ...calls.jobs["echo-client"],
      ...clients.map(({ metricsUrl }) => metricsUrl),
      `http://127.0.0.1:${port}/metrics`,
    ],
    "xds-client": [balanced],
    "echo-gateway": [await startRetries(owner)],
  };
}

/** Starts a server that is not available for one of six attempts, and a client that tries again. */
async function startRetries(owner: Owner): Promise<string> {
  const reader = new PrometheusReader();
  const otel = new GrpcOpenTelemetry({ meterProvider: new MeterProvider({ readers: [reader] }) });
  const endpoint = await startScrapeEndpoint({ reader, host: "127.0.0.1", port: 0 });
  const server = otel.instrumentServer(new grpc.Server());
  server.addService(echoService, {
    ...echoHandlers,
    UnaryEcho(_: unknown, reply: grpc.sendUnaryData<unknown>) {
      if (Math.random() < 1 / 6) reply({ code: grpc.status.UNAVAILABLE });
      else reply(null, { message: "hello" });
    },
  });
  const target = `127.0.0.1:${await listen(server)}`;
  const client = echoClient(target, otel.clientOptions(retrying(3)));
  const timer = setInterval(() => void unary(client, "hello"), 100);
  owner.after(async () => {
    clearInterval(timer);
    client.close();
    server.forceShutdown();
    await endpoint.close();
  });
  return endpoint.url;
}
