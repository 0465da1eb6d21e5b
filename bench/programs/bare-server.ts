/**
 * The services of `server.ts` without telemetry and settings, on a free port.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import { fileURLToPath } from "node:url";
import { addEchoService, listen } from "./echo.ts";

const SERVICE = "grpc.examples.echo.Echo";

const server = new grpc.Server();
const definition = loadSync(fileURLToPath(new URL("../../echo.proto", import.meta.url)), {
  defaults: true,
});
addEchoService(server, definition[SERVICE] as grpc.ServiceDefinition);
new HealthImplementation({ "": "SERVING", [SERVICE]: "SERVING" }).addToServer(server);
new ReflectionService(definition).addToServer(server);
console.log(`Serving on :${await listen(grpc, server)}`);
