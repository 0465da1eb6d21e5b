import * as grpc from "@grpc/grpc-js";
import { test } from "node:test";
import type { EchoMessage } from "../support/echo.ts";
import { serverSeries, withEchoPair } from "../support/echo-pair.ts";
import { eventuallyEqual } from "../support/eventually.ts";

/** Sends a status between two messages, as grpc-js does when a deadline passes there. */
const deadlineBetweenMessages: grpc.ServerInterceptor = (_method, call) => {
  const responder = new grpc.ResponderBuilder().withSendMessage((message, next) => {
    next(message);
    call.sendStatus({ code: grpc.status.DEADLINE_EXCEEDED, details: "Deadline exceeded" });
    call.sendMessage(message, () => {});
  });
  return new grpc.ServerInterceptingCall(call, responder.build());
};

test("a call whose status is lost to a late message still ends on the server", () =>
  withEchoPair({
    server: { interceptors: [deadlineBetweenMessages] },
    handlers: {
      ServerStreamingEcho(call: grpc.ServerWritableStream<EchoMessage, EchoMessage>) {
        call.write(call.request);
      },
    },
  }, async ({ client, recording }) => {
    // The client leaves the call open, because it does not see the end.
    const call = client.ServerStreamingEcho({ message: "hello" });
    call.on("error", () => {}).resume();
    await eventuallyEqual(
      async () => {
        const series = Object.entries(await recording.series());
        return Object.fromEntries(series.filter(([name]) => name.startsWith("grpc.server.call.")));
      },
      serverSeries("ServerStreamingEcho", "CANCELLED", { sent: 14, received: 7 }),
    );
    call.cancel();
  }));
