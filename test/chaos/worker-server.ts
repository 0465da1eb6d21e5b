import * as grpc from "@grpc/grpc-js";
import { setTimeout as delay } from "node:timers/promises";
import type { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { echoService } from "../support/echo.ts";
import type { EchoMessage } from "../support/echo.ts";
import { Ledger } from "./ledger.ts";
import type { Work } from "./worker.ts";

/**
 * Serves Echo. The text of a request decides the answer: `fail` fails with INVALID_ARGUMENT, `hang`
 * never answers, `slow` answers after a while, anything else answers at once.
 *
 * @param args The address to listen on.
 */
export async function startServing(
  plugin: GrpcOpenTelemetry,
  [address = ""]: readonly string[],
): Promise<Work> {
  const ledger = new Ledger();
  let ended = 0;
  const server = plugin.instrumentServer(
    new grpc.Server({
      interceptors: [({ path }, call) => {
        const method = path.slice(1);
        ledger.add("started", method);
        const responder = new grpc.ResponderBuilder().withSendStatus((status, next) => {
          ended++;
          ledger.add("answered", method, grpc.status[status.code]!);
          next(status);
        });
        return new grpc.ServerInterceptingCall(call, responder.build());
      }],
    }),
  );
  server.addService(echoService, HANDLERS);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
  return {
    ledger,
    get ended() {
      return ended;
    },
    finish: () => new Promise((resolve) => server.tryShutdown(() => resolve())),
  };
}

const SLOW_MS = 40;
const STREAMED_REPLIES = 5;

const FAILURE: Partial<grpc.StatusObject> = {
  code: grpc.status.INVALID_ARGUMENT,
  details: "planned by the request",
};

const HANDLERS: grpc.UntypedServiceImplementation = {
  async UnaryEcho(
    { request }: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
    reply: grpc.sendUnaryData<EchoMessage>,
  ) {
    await answer(request, () => reply(null, request), () => reply(FAILURE));
  },

  async ServerStreamingEcho(call: grpc.ServerWritableStream<EchoMessage, EchoMessage>) {
    const { request } = call;
    for (let i = 0; i < STREAMED_REPLIES; i++) {
      call.write(request);
      if (request.message === "slow") await delay(SLOW_MS);
    }
    await answer(request, () => call.end(), () => call.emit("error", FAILURE));
  },

  ClientStreamingEcho(
    call: grpc.ServerReadableStream<EchoMessage, EchoMessage>,
    reply: grpc.sendUnaryData<EchoMessage>,
  ) {
    let last: EchoMessage = { message: "" };
    call.on("data", (request: EchoMessage) => last = request);
    call.on("end", () => answer(last, () => reply(null, last), () => reply(FAILURE)));
  },

  BidirectionalStreamingEcho(call: grpc.ServerDuplexStream<EchoMessage, EchoMessage>) {
    let last: EchoMessage = { message: "" };
    call.on("data", (request: EchoMessage) => {
      last = request;
      call.write(request);
    });
    call.on("end", () => answer(last, () => call.end(), () => call.emit("error", FAILURE)));
  },
};

async function answer(
  { message }: EchoMessage,
  succeed: () => void,
  fail: () => void,
): Promise<void> {
  if (message === "hang") return;
  if (message === "slow") await delay(SLOW_MS);
  if (message === "fail") fail();
  else succeed();
}
