/**
 * The gRPC Echo server, instrumented. `bun run server.ts`, `deno run -A server.ts` or
 * `node server.ts`; `--help` lists the environment variables.
 */
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { exitOnStartupError, handleArguments } from "./echo/command-line.ts";
import { grpcLog } from "./echo/grpc-log.ts";
import { readSettings } from "./echo/settings.ts";
import { ignoreOutputErrors } from "./log/output.ts";
import { StartupError } from "./telemetry/settings/mod.ts";
import { startTelemetry } from "./telemetry.ts";
import { serverCredentials } from "./echo/credentials.ts";

interface EchoMessage {
  message: string;
}

const SERVICE = "grpc.examples.echo.Echo";
const STREAMED_REPLIES = 3;
const SHUTDOWN_MS = 10_000;

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
  const definition = loadSync(fileURLToPath(new URL("./echo.proto", import.meta.url)), {
    defaults: true,
  });
  server.addService(
    definition[SERVICE] as grpc.ServiceDefinition,
    echo(({ message }) => ({ message: `${message} (from ${address.given})` }), delayMs),
  );
  const health = new HealthImplementation({ "": "SERVING", [SERVICE]: "SERVING" });
  health.addToServer(server);
  new ReflectionService(definition).addToServer(server);

  const port = await bind(server, address.bind, credentials).catch(async (error: Error) => {
    await telemetry.shutdown();
    const reason = error.message.includes("EADDRINUSE")
      ? "the port is in use; set another one, or 0 for any free one"
      : `cannot listen there: ${error.message}`;
    throw new StartupError(`ECHO_ADDR=${address.given}: ${reason}`);
  });
  // Whoever reads the next lines may send a signal at once.
  const stopped = new Promise((resolve) => process.on("SIGINT", resolve).on("SIGTERM", resolve));
  console.log(`Serving on ${address.given.replace(/:0$/, `:${port}`)}`);
  console.log(`Metrics at ${telemetry.endpoint}`);
  if (telemetry.tracesEndpoint) console.log(`Traces at ${telemetry.tracesEndpoint}`);

  await stopped;
  for (const name of ["", SERVICE]) health.setStatus(name, "NOT_SERVING");
  await finishCalls(server);
  await telemetry.shutdown();
  process.exit(0);
}

/** The four methods; each call is answered after `delayMs` milliseconds. */
function echo(answer: (request: EchoMessage) => EchoMessage, delayMs: number) {
  const pause = async () => {
    if (delayMs > 0) await delay(delayMs);
  };
  const implementation: grpc.UntypedServiceImplementation = {
    async UnaryEcho(
      call: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
      respond: grpc.sendUnaryData<EchoMessage>,
    ) {
      await pause();
      respond(null, answer(call.request));
    },

    async ServerStreamingEcho(call: grpc.ServerWritableStream<EchoMessage, EchoMessage>) {
      await pause();
      for (let i = 0; i < STREAMED_REPLIES; i++) call.write(answer(call.request));
      call.end();
    },

    ClientStreamingEcho(
      call: grpc.ServerReadableStream<EchoMessage, EchoMessage>,
      respond: grpc.sendUnaryData<EchoMessage>,
    ) {
      let last: EchoMessage = { message: "" };
      call.on("data", (request: EchoMessage) => last = request);
      call.on("end", async () => {
        await pause();
        respond(null, answer(last));
      });
    },

    BidirectionalStreamingEcho(call: grpc.ServerDuplexStream<EchoMessage, EchoMessage>) {
      const ready = pause();
      call.on("data", async (request: EchoMessage) => {
        await ready;
        call.write(answer(request));
      });
      call.on("end", async () => {
        await ready;
        call.end();
      });
    },
  };
  return implementation;
}

function bind(
  server: grpc.Server,
  address: string,
  credentials: grpc.ServerCredentials,
): Promise<number> {
  // Until it is bound, grpc-js would log what the error says as well.
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
  const timer = setTimeout(() => server.forceShutdown(), SHUTDOWN_MS);
  await new Promise((resolve) => server.tryShutdown(resolve));
  clearTimeout(timer);
}

await main().catch(exitOnStartupError);
