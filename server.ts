/**
 * The gRPC Echo server, instrumented. `bun run server.ts`, `deno run -A server.ts` or
 * `node server.ts`; `--help` lists the environment variables.
 */
import * as grpc from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import { serverCredentials } from "./echo/credentials.ts";
import { exitOnStartupError, grpcLog, handleArguments, undelivered } from "./echo/script.ts";
import { createEcho, loadEcho, SERVICE_NAME } from "./echo/service.ts";
import { readSettings } from "./echo/settings.ts";
import { StandingStreams } from "./echo/standing-streams.ts";
import { ignoreOutputErrors } from "./log/output.ts";
import { onStopSignal } from "./log/stop-signals.ts";
import { startTelemetry } from "./telemetry.ts";
import { StartupError } from "./telemetry/settings/mod.ts";

const SHUTDOWN_MS = 10_000;
/** For the ends of calls that were cut off to be recorded. */
const FORCED_MS = 1000;

async function main(): Promise<void> {
  ignoreOutputErrors();
  handleArguments("bun run server.ts");
  const settings = readSettings();
  const { ECHO_ADDR: address, ECHO_DELAY_MS: delayMs } = settings;
  const credentials = serverCredentials(settings);
  const telemetry = await startTelemetry({
    defaultServiceName: "echo-server",
    defaultPrometheusPort: 9464,
  });

  const server = telemetry.plugin.instrumentServer(new grpc.Server());
  const { definition, service } = loadEcho();
  const echo = createEcho(
    ({ message }) => ({ message: `${message} (from ${address.given})` }),
    delayMs,
  );
  server.addService(service, echo);
  const health = new HealthImplementation({ "": "SERVING", [SERVICE_NAME]: "SERVING" });
  const standingStreams = new StandingStreams();
  standingStreams.add(server, health);
  standingStreams.add(server, new ReflectionService(definition));

  const port = await bind(server, address.bind, credentials).catch(async (error: Error) => {
    await telemetry.shutdown();
    const reason = error.message.includes("EADDRINUSE")
      ? address.bind.startsWith("unix:")
        ? "the socket exists: another server uses it, or one that was killed left it; set another " +
          "path, or remove the file"
        : "the port is in use; set another one, or 0 for any free one"
      : `cannot listen there: ${error.message}`;
    throw new StartupError(`ECHO_ADDR=${address.given}: ${reason}`);
  });
  // A program that reads the next lines may send a signal at once.
  let callsMayRun = true;
  const stopped = new Promise((resolve) =>
    onStopSignal(resolve, () => undelivered(telemetry, callsMayRun))
  );
  console.log(`Serving on ${address.given.replace(/^(?!unix:)(.*):0$/, `$1:${port}`)}`);
  console.log(`Metrics at ${telemetry.endpoint}`);
  if (telemetry.tracesEndpoint) console.log(`Traces at ${telemetry.tracesEndpoint}`);

  await stopped;
  for (const name of ["", SERVICE_NAME]) health.setStatus(name, "NOT_SERVING");
  standingStreams.end();
  await finishCalls(server);
  callsMayRun = false;
  await telemetry.shutdown();
  process.exit(0);
}

/** Binds the server and returns its port. */
function bind(
  server: grpc.Server,
  address: string,
  credentials: grpc.ServerCredentials,
): Promise<number> {
  // grpc-js also logs the error that it passes on.
  grpc.setLogger({ error() {}, info() {}, debug() {} });
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      grpc.setLogger(grpcLog);
      if (error) reject(error);
      else resolve(port);
    });
  });
}

/** Lets running calls finish, for {@link SHUTDOWN_MS} at most. */
async function finishCalls(server: grpc.Server): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) =>
    timer = setTimeout(() => {
      server.forceShutdown();
      // Connections without a TLS handshake keep grpc-js waiting for two minutes.
      setTimeout(resolve, FORCED_MS);
    }, SHUTDOWN_MS)
  );
  await Promise.race([limit, new Promise((resolve) => server.tryShutdown(resolve))]);
  clearTimeout(timer);
}

await main().catch(exitOnStartupError);
