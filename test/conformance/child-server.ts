/**
 * An Echo server in a separate process, so that tests can kill it. Its argument is the port, by default
 * any free one.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { echoService } from "../support/echo.ts";
import { plannedHandlers } from "./handlers.ts";

const server = new grpc.Server();
server.addService(echoService, plannedHandlers);
server.bindAsync(
  `127.0.0.1:${process.argv[2] ?? 0}`,
  grpc.ServerCredentials.createInsecure(),
  (error, port) => {
    if (error) throw error;
    console.log(`Process ${process.pid}`);
    console.log(`Listening on ${port}`);
  },
);
