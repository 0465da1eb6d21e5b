/**
 * An Echo server that runs for long: `long-run-server.ts bare|plugin`.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { answerCommands } from "./commands.ts";
import { addEchoService, ECHO, listen } from "./echo.ts";
import { startLongRun } from "./long-run.ts";

const { plugin, url, reading } = await startLongRun(process.argv[2]);
const server = plugin.instrumentServer(new grpc.Server());
addEchoService(server, ECHO);
answerCommands({ port: await listen(grpc, server), url }, { reading });
