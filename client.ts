/**
 * The gRPC Echo client, instrumented. `deno run -A client.ts`, `bun run client.ts` or
 * `node client.ts`; `--help` lists the environment variables.
 */
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { fileURLToPath } from "node:url";
import { exitOnStartupError, handleArguments } from "./echo/command-line.ts";
import { grpcLog } from "./echo/grpc-log.ts";
import { readSettings } from "./echo/settings.ts";
import type { Settings } from "./echo/settings.ts";
import { ignoreOutputErrors } from "./log/output.ts";
import { createReporter, formatSummary, runLoad } from "./echo/mod.ts";
import type { Call } from "./echo/mod.ts";
import { startTelemetry } from "./telemetry.ts";
import { callFailure, channelCredentials } from "./echo/credentials.ts";

interface EchoMessage {
  message: string;
}

type Reply = grpc.requestCallback<EchoMessage>;

interface EchoClient extends grpc.Client {
  UnaryEcho(request: EchoMessage, options: grpc.CallOptions, reply: Reply): grpc.ClientUnaryCall;
  ServerStreamingEcho(
    request: EchoMessage,
    options: grpc.CallOptions,
  ): grpc.ClientReadableStream<EchoMessage>;
  ClientStreamingEcho(
    options: grpc.CallOptions,
    reply: Reply,
  ): grpc.ClientWritableStream<EchoMessage>;
  BidirectionalStreamingEcho(
    options: grpc.CallOptions,
  ): grpc.ClientDuplexStream<EchoMessage, EchoMessage>;
}

const STREAMED_REQUESTS = 3;

async function main(): Promise<void> {
  ignoreOutputErrors();
  handleArguments("deno run -A client.ts");
  grpc.setLogger(grpcLog);
  const settings = readSettings();
  const credentials = channelCredentials(settings);
  const telemetry = await startTelemetry({
    defaultServiceName: "echo-client",
    defaultPrometheusPort: 9465,
  });
  console.log(`Metrics at ${telemetry.endpoint}`);
  if (telemetry.tracesEndpoint) console.log(`Traces at ${telemetry.tracesEndpoint}`);

  const definition = loadSync(fileURLToPath(new URL("./echo.proto", import.meta.url)), {
    defaults: true,
  });
  const Client = grpc.makeClientConstructor(
    definition["grpc.examples.echo.Echo"] as grpc.ServiceDefinition,
    "Echo",
  );
  const client = new Client(
    settings.ECHO_ADDR.dial,
    credentials,
    telemetry.plugin.clientOptions({
      // No question to the DNS about a service config, for which Deno would ask permission.
      "grpc.service_config_disable_resolution": 1,
    }),
  ) as unknown as EchoClient;

  const stop = new AbortController();
  process.on("SIGINT", () => stop.abort()).on("SIGTERM", () => stop.abort());
  // Whoever read the replies has gone: `client.ts | head`.
  process.stdout.on("error", ({ code }: NodeJS.ErrnoException) => {
    if (code !== "ENOSPC") stop.abort();
  });

  const { ECHO_CONCURRENCY, ECHO_QPS, ECHO_INTERVAL_MS } = settings;
  const concurrency = ECHO_CONCURRENCY ?? 1;
  const codelabPace = ECHO_CONCURRENCY === undefined && ECHO_QPS === undefined;
  const summary = await runLoad(
    echo(client, settings),
    {
      concurrency,
      qps: ECHO_QPS ?? 0,
      count: settings.ECHO_COUNT,
      durationSeconds: settings.ECHO_DURATION_S,
      intervalMs: ECHO_INTERVAL_MS ?? (codelabPace ? 1000 : 0),
      signal: stop.signal,
    },
    createReporter({ concurrency, stdout: process.stdout, stderr: process.stderr }),
  );
  console.log(formatSummary(summary));

  client.close();
  await telemetry.shutdown();
  process.exit(summary.succeeded > 0 || summary.calls === 0 ? 0 : 1);
}

/** Makes one call of the method that is set; its replies are printed as Go prints a message. */
function echo(client: EchoClient, settings: Settings): Call {
  const request = {
    message: settings.ECHO_MESSAGE_BYTES > 0
      ? "x".repeat(settings.ECHO_MESSAGE_BYTES)
      : "this is examples/opentelemetry",
  };
  const requests = Array.from({ length: STREAMED_REQUESTS }, () => request);
  const deadlineMs = settings.ECHO_DEADLINE_MS;

  return (end) => {
    const done: typeof end = (error, text) => {
      end(error && { code: error.code, details: callFailure(error.details, settings) }, text);
    };
    const options = deadlineMs > 0 ? { deadline: Date.now() + deadlineMs } : {};
    const reply: Reply = (error, message) => done(error, message && textOf(message));
    switch (settings.ECHO_METHOD) {
      case "UnaryEcho":
        return client.UnaryEcho(request, options, reply);
      case "ClientStreamingEcho":
        return send(client.ClientStreamingEcho(options, reply));
      case "ServerStreamingEcho":
        return receive(client.ServerStreamingEcho(request, options), done);
      case "BidirectionalStreamingEcho":
        return receive(send(client.BidirectionalStreamingEcho(options)), done);
    }
  };

  function send<S extends grpc.ClientWritableStream<EchoMessage>>(stream: S): S {
    for (const message of requests) stream.write(message);
    stream.end();
    return stream;
  }
}

function receive(
  stream: grpc.ClientReadableStream<EchoMessage>,
  done: Parameters<Call>[0],
): grpc.ClientReadableStream<EchoMessage> {
  const replies: string[] = [];
  stream.on("data", (message: EchoMessage) => replies.push(textOf(message)));
  stream.on("error", done);
  stream.on("end", () => done(null, replies.join("\n")));
  return stream;
}

function textOf({ message }: EchoMessage): string {
  return `message:${JSON.stringify(message)}`;
}

await main().catch(exitOnStartupError);
