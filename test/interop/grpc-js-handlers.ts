import * as grpc from "@grpc/grpc-js";
import type { EchoMessage } from "../support/echo.ts";
import { echoMessage } from "./grpc-js-calls.ts";

type EchoStream = grpc.ServerDuplexStream<EchoMessage, EchoMessage>;

/** What the handlers need from their peer. */
export interface Surroundings {
  /** Called when a call will never be answered. */
  hung(): void;
  /** Makes a call to another server, and resolves with its reply. */
  relay(target: string): Promise<string>;
}

/**
 * The handlers of a peer's server, see `Peer`. In addition, `relay host:port` is answered with the
 * reply of the server at that address.
 */
export function interopHandlers(
  { hung, relay }: Surroundings,
): grpc.UntypedServiceImplementation {
  const answer = (message: string, reply: grpc.sendUnaryData<EchoMessage>) => {
    const failure = plannedFailure(message);
    const [, target] = /^relay (.*)$/.exec(message) ?? [];
    if (failure) reply(failure.status);
    else if (target === undefined) reply(null, echoMessage(message));
    else void relay(target).then((text) => reply(null, echoMessage(text)));
  };

  return {
    UnaryEcho(
      call: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
      reply: grpc.sendUnaryData<EchoMessage>,
    ) {
      const { message } = call.request;
      if (message === "hang") return hung();
      const failure = plannedFailure(message);
      if (failure?.sendHeaders) call.sendMetadata(failure.metadata);
      answer(message, reply);
    },

    ServerStreamingEcho(call: grpc.ServerWritableStream<EchoMessage, EchoMessage>) {
      const { message } = call.request;
      if (message === "nothing" || message.startsWith("status ")) return end(call, message);
      const reply = echoMessage(message);
      call.write(reply);
      call.write(reply);
      // A failure overtakes replies that are not written yet.
      call.write(reply, () => {
        if (message === "hang") hung();
        else end(call, message);
      });
    },

    ClientStreamingEcho(
      call: grpc.ServerReadableStream<EchoMessage, EchoMessage>,
      reply: grpc.sendUnaryData<EchoMessage>,
    ) {
      let last = "";
      call.on("data", ({ message }: EchoMessage) => {
        last = message;
        if (message === "hang") hung();
      });
      call.on("end", () => {
        if (last !== "hang") answer(last, reply);
      });
    },

    BidirectionalStreamingEcho(call: EchoStream) {
      let last = "";
      call.on("data", ({ message }: EchoMessage) => {
        last = message;
        if (!message.startsWith("status ")) call.write(echoMessage(message));
        if (message === "hang") hung();
      });
      call.on("end", () => {
        if (last !== "hang") end(call, last);
      });
    },
  };
}

interface PlannedFailure {
  readonly status: Partial<grpc.StatusObject>;
  readonly metadata: grpc.Metadata;
  readonly sendHeaders: boolean;
}

function plannedFailure(message: string): PlannedFailure | undefined {
  const [, how, code] = /^(status|replies|trailers|headers) (\d+)$/.exec(message) ?? [];
  if (code === undefined) return undefined;
  const metadata = new grpc.Metadata();
  metadata.set("reason", code);
  const status = { code: Number(code), details: message };
  return {
    status: how === "trailers" ? { ...status, metadata } : status,
    metadata,
    sendHeaders: how === "headers",
  };
}

function end(
  call: grpc.ServerWritableStream<EchoMessage, EchoMessage> | EchoStream,
  message: string,
): void {
  const failure = plannedFailure(message);
  if (failure) call.emit("error", failure.status);
  else call.end();
}
