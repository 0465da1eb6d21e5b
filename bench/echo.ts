import type { ServiceDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { fileURLToPath } from "node:url";

export interface EchoMessage {
  message: string;
}

export const definition = loadSync(
  fileURLToPath(new URL("../echo.proto", import.meta.url)),
)["grpc.examples.echo.Echo"] as ServiceDefinition;
