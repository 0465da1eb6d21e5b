// Started by live-page.test.ts: a server and a client of many methods, whose metrics have a page.
import * as grpc from "@grpc/grpc-js";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { PrometheusReader, startScrapeEndpoint } from "../../prometheus/mod.ts";
import { grpcPage } from "../../telemetry/page/mod.ts";
import { listen } from "../support/echo.ts";
import { retrying } from "../support/retrying.ts";

/** A name that would be a script if it were HTML. */
const HOSTILE = "page.Test/<img src=x onerror=alert(1)>";

const methods = Array.from(
  { length: Number(process.argv[2]) },
  (_, index) => `page.Test/M${index}`,
);
const reader = new PrometheusReader();
const otel = new GrpcOpenTelemetry({
  meterProvider: new MeterProvider({ readers: [reader] }),
  enableMetrics: [
    "grpc.client.call.retries",
    "grpc.client.call.retry_delay",
    "grpc.subchannel.open_connections",
    "grpc.subchannel.connection_attempts_succeeded",
    "grpc.subchannel.connection_attempts_failed",
    "grpc.subchannel.disconnections",
  ],
});

const bytes = (value: Buffer) => value;
const server = otel.instrumentServer(new grpc.Server());
for (const [index, method] of methods.entries()) {
  const handle = (
    call: grpc.ServerUnaryCall<Buffer, Buffer>,
    reply: grpc.sendUnaryData<Buffer>,
  ) => {
    const message = call.request.toString();
    if (message === "hang") return;
    if (message === "fail") reply({ code: grpc.status.UNAVAILABLE });
    // Durations of several buckets.
    else setTimeout(() => reply(null, call.request), 3 * (index % 5));
  };
  server.register(`/${method}`, handle as never, bytes, bytes, "unary");
}
const port = await listen(server);
const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
  ...otel.clientOptions(),
  ...retrying(2),
});

/** Makes a call, whatever its outcome. */
function call(method: string, message: string): Promise<void> {
  return new Promise((resolve) => {
    const request = Buffer.from(message);
    client.makeUnaryRequest(`/${method}`, bytes, bytes, request, () => resolve());
  });
}

// Prometheus sees no increase in a series that it does not know yet.
await Promise.all([
  ...methods.map((method) => call(method, "hello")),
  ...methods.slice(0, 20).map((method) => call(method, "fail")),
]);
await call(HOSTILE, "hello");

/** A request makes calls, more of the first methods than of the last ones, and leaves one in flight. */
const control = createServer(async (_request, response) => {
  void call(methods[0]!, "hang");
  for (const [index, method] of methods.slice(0, 20).entries()) {
    const calls = Array.from({ length: Math.ceil(64 / 2 ** index) }, (_, turn) => {
      return call(method, turn % 4 === 3 ? "fail" : "hello");
    });
    await Promise.all(calls);
  }
  response.end("done");
});
control.listen(0, "127.0.0.1", () => {
  console.log(`Control at http://127.0.0.1:${(control.address() as AddressInfo).port}`);
});
const endpoint = await startScrapeEndpoint({
  reader,
  host: "127.0.0.1",
  port: 0,
  page: grpcPage(),
});
console.log(`Metrics at ${endpoint.url}`);
