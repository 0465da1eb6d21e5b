import { credentials } from "@grpc/grpc-js";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { connect } from "node:net";
import { METRIC_NAMES } from "../../../plugin/metrics/definitions.ts";
import { GrpcOpenTelemetry } from "../../../plugin/mod.ts";
import { PrometheusReader, startScrapeEndpoint } from "../../../prometheus/mod.ts";
import { readSettings } from "../../../telemetry/settings/mod.ts";
import { viewsOf } from "../../../telemetry/views.ts";
import { echoClient } from "../../support/echo.ts";
import type { Owner } from "../../support/script.ts";

/** Returns the `host` and `port` of an address. */
function hostAndPort(address: string): { host: string; port: number } {
  const { hostname: host, port } = new URL(`tcp://${address}`);
  return { host, port: Number(port) };
}

/**
 * Makes calls with TLS until the owner ends, and records them with all metrics. Each call has a new
 * channel, so that it waits for the name and a connection.
 *
 * @param roots The authorities that verify the server: those of each call in turn.
 * @param native Whether the durations are native histograms.
 * @returns The URL of the metrics.
 */
export async function startNewConnections(
  owner: Owner,
  address: string,
  roots: readonly Buffer[],
  native: boolean,
): Promise<string> {
  const reader = new PrometheusReader();
  const views = viewsOf(readSettings({ GRPC_METRICS_NATIVE_HISTOGRAMS: `${native}` }));
  const meterProvider = new MeterProvider({ readers: [reader], views });
  const otel = new GrpcOpenTelemetry({ meterProvider, enableMetrics: METRIC_NAMES });
  const endpoint = await startScrapeEndpoint({ reader, host: "127.0.0.1", port: 0 });

  async function call(root: Buffer): Promise<void> {
    const options = otel.clientOptions({ "grpc.use_local_subchannel_pool": 1 });
    const client = echoClient(address, options, credentials.createSsl(root));
    await new Promise((resolve) => client.UnaryEcho({ message: "hello" }, {}, resolve));
    client.close();
  }
  /** Opens a connection and closes it before a handshake. */
  async function giveUp(): Promise<void> {
    const socket = connect(hostAndPort(address), () => socket.end()).resume();
    // When the server has stopped, this fails like the calls.
    await new Promise((resolve) => socket.on("error", () => {}).on("close", resolve));
  }
  let isOver = false;
  const calls = (async () => {
    while (!isOver) {
      for (const root of roots) await call(root);
      await giveUp();
    }
  })();
  owner.after(async () => {
    isOver = true;
    await calls;
    await endpoint.close();
  });
  return endpoint.url;
}
