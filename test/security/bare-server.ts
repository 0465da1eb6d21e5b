/**
 * An Echo server without telemetry. Problems that it has too are caused by the runtime or grpc-js. It
 * reports uncaught exceptions and continues, so that they can be counted.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { echoHandlers, echoService, listen } from "../support/echo.ts";

process.on("uncaughtException", (error) => console.error(`Uncaught: ${error.message}`));

const server = new grpc.Server();
server.addService(echoService, echoHandlers);
console.log(`Serving on 127.0.0.1:${await listen(server)}`);
