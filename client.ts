/**
 * The gRPC Echo client, instrumented. `deno run -A client.ts`, `bun run client.ts` or
 * `node client.ts`; `--help` lists the environment variables.
 */
import * as grpc from "@grpc/grpc-js";
import { createCall } from "./echo/calls.ts";
import type { EchoClient } from "./echo/calls.ts";
import { channelCredentials } from "./echo/credentials.ts";
import { runLoad } from "./echo/load.ts";
import { createReporter } from "./echo/reporter.ts";
import { exitOnStartupError, grpcLog, handleArguments, undelivered } from "./echo/script.ts";
import { loadEcho } from "./echo/service.ts";
import { readSettings } from "./echo/settings.ts";
import { formatSummary } from "./echo/summary.ts";
import { ignoreOutputErrors } from "./log/output.ts";
import { onStopSignal } from "./log/stop-signals.ts";
import { startTelemetry } from "./telemetry.ts";

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

  const Client = grpc.makeClientConstructor(loadEcho().service, "Echo");
  const client = new Client(
    settings.ECHO_ADDR.dial,
    credentials,
    telemetry.plugin.clientOptions({
      // Deno would ask permission to query the DNS for a service config.
      "grpc.service_config_disable_resolution": 1,
    }),
  ) as unknown as EchoClient;

  const stop = new AbortController();
  let callsMayRun = true;
  onStopSignal(() => stop.abort(), () => undelivered(telemetry, callsMayRun));
  // The reader of the replies has ended, as in `client.ts | head`.
  process.stdout.on("error", ({ code }: NodeJS.ErrnoException) => {
    if (code !== "ENOSPC") stop.abort();
  });

  const { ECHO_CONCURRENCY, ECHO_QPS, ECHO_INTERVAL_MS } = settings;
  const concurrency = ECHO_CONCURRENCY ?? 1;
  const codelabPace = ECHO_CONCURRENCY === undefined && ECHO_QPS === undefined;
  const summary = await runLoad(
    createCall(client, settings),
    {
      concurrency,
      qps: ECHO_QPS ?? 0,
      count: settings.ECHO_COUNT,
      durationSeconds: settings.ECHO_DURATION_S,
      intervalMs: ECHO_INTERVAL_MS ?? (codelabPace ? 1000 : 0),
      signal: stop.signal,
    },
    createReporter({
      concurrency,
      stdout: process.stdout,
      stderr: process.stderr,
      refused: `No server listens at ECHO_ADDR=${settings.ECHO_ADDR.given}: run ` +
        "`bun run server.ts` in another terminal, or set another address; until then, calls fail",
    }),
  );
  callsMayRun = false;
  console.log(formatSummary(summary));

  client.close();
  await telemetry.shutdown();
  process.exit(summary.succeeded > 0 || summary.calls === 0 ? 0 : 1);
}

await main().catch(exitOnStartupError);
