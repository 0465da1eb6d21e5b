/**
 * A program of someone who installed the package. It is compiled to CommonJS and to an ES module, and
 * prints what was recorded of three calls.
 */
import * as grpc from "@grpc/grpc-js";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import {
  canonicalTarget,
  GrpcOpenTelemetry,
  type GrpcOpenTelemetryOptions,
} from "grpc-js-opentelemetry";
import {
  PrometheusReader,
  renderPrometheusText,
  startScrapeEndpoint,
} from "grpc-js-opentelemetry/prometheus";
import { startTelemetry } from "grpc-js-opentelemetry/telemetry";

const bytes = (value: Buffer) => value;
const service: grpc.ServiceDefinition = {
  say: {
    path: "/test.Echo/Say",
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  },
};

async function main(): Promise<void> {
  const reader = new PrometheusReader();
  const options: GrpcOpenTelemetryOptions = {
    meterProvider: new MeterProvider({ readers: [reader] }),
  };
  const own = new GrpcOpenTelemetry(options);
  const telemetry = await startTelemetry({ defaultServiceName: "test", defaultPrometheusPort: 0 });
  const endpoint = await startScrapeEndpoint({ reader, host: "127.0.0.1", port: 0 });

  const server = own.instrumentServer(telemetry.plugin.instrumentServer(new grpc.Server()));
  server.addService(service, {
    say: (call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) =>
      reply(null, call.request),
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      "127.0.0.1:0",
      grpc.ServerCredentials.createInsecure(),
      (error, bound) => error ? reject(error) : resolve(bound),
    )
  );
  const client = new grpc.Client(
    `127.0.0.1:${port}`,
    grpc.credentials.createInsecure(),
    own.clientOptions(telemetry.plugin.clientOptions()),
  );
  for (let call = 0; call < 3; call++) {
    await new Promise((resolve, reject) =>
      client.makeUnaryRequest(
        "/test.Echo/Say",
        bytes,
        bytes,
        Buffer.from("hello"),
        (error, reply) => error ? reject(error) : resolve(reply),
      )
    );
  }

  const text = await textAt(endpoint.url);
  const textOfTelemetry = await textAt(/http\S+/.exec(telemetry.endpoint)![0]);
  const collected = await reader.collect();
  console.log(JSON.stringify({
    target: canonicalTarget(`127.0.0.1:${port}`),
    port,
    rendersTheSame: families(renderPrometheusText(collected)) === families(text),
    counts: [text, textOfTelemetry].map(counts),
  }));
  client.close();
  server.forceShutdown();
  await endpoint.close();
  await telemetry.shutdown();
}

async function textAt(url: string): Promise<string> {
  return await (await fetch(url)).text();
}

/** The names of the gRPC families. */
function families(text: string): string {
  return (text.match(/^# TYPE grpc_\S+/gm) ?? []).join();
}

/** The values of the lines that count calls and bytes. */
function counts(text: string): Record<string, number> {
  const lines = text.matchAll(
    /^(grpc_\w+(?:started_total|duration_seconds_count|_bytes_sum))\{.* (\S+)$/gm,
  );
  return Object.fromEntries([...lines].map(([, name, value]) => [name, Number(value)]));
}

void main();
