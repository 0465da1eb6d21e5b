import type * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export interface EchoMessage {
  message: string;
}

export const SERVICE_NAME = "grpc.examples.echo.Echo";

/** Loads `echo.proto`: its whole package, and the Echo service in it. */
export function loadEcho() {
  // It is next to the scripts, or next to the bundle of a script.
  const paths = ["../echo.proto", "./echo.proto"]
    .map((path) => fileURLToPath(new URL(path, import.meta.url)));
  const definition = loadSync(paths.find(existsSync) ?? paths[0]!, { defaults: true });
  return { definition, service: definition[SERVICE_NAME] as grpc.ServiceDefinition };
}

const STREAMED_REPLIES = 3;

/**
 * Creates the server's side of the four methods.
 *
 * @param answer returns the reply to a request
 * @param delayMs milliseconds before a call is answered
 */
export function createEcho(
  answer: (request: EchoMessage) => EchoMessage,
  delayMs: number,
): grpc.UntypedServiceImplementation {
  const pause = async () => {
    if (delayMs > 0) await delay(delayMs);
  };
  return {
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
}
