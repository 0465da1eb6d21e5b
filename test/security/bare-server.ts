/**
 * An Echo server without telemetry: what happens to it as well, the runtime or grpc-js does. It
 * goes on after exceptions that would end it, and counts them.
 */
import * as grpc from "@grpc/grpc-js";
import { echoHandlers, echoService, listen } from "../support/echo.ts";

process.on("uncaughtException", (error) => console.error(`Uncaught: ${error.message}`));

const server = new grpc.Server();
server.addService(echoService, echoHandlers);
console.log(`Serving on 127.0.0.1:${await listen(server)}`);
