/**
 * An Echo server without delay: `server.ts bare|plugin|global|everything|spans|traced|unsampled [METHODS]`.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { answerCommands, cpuMicroseconds } from "./commands.ts";
import { addEchoService, echoService, listen } from "./echo.ts";
import { createVariant } from "./telemetry.ts";

const [variant, methods = "1"] = process.argv.slice(2);
const { plugin, recorded } = createVariant(variant);
const server = plugin.instrumentServer(new grpc.Server());
addEchoService(server, echoService(Number(methods)));
answerCommands({ port: await listen(grpc, server) }, { cpu: cpuMicroseconds, recorded });
