/** Messages that are too long, that cannot be read or written, or that are too many or too few. */
import * as grpc from "@grpc/grpc-js";
import { currentRuntime } from "../../../telemetry/runtime/runtime-name.ts";
import { echoService } from "../../support/echo.ts";
import { bidi, messageOf, statusName, statusOf, unary } from "../calls.ts";
import { rawRequest } from "../raw-request.ts";
import type { Stage } from "../harness.ts";
import { oneAttempt, oneCall } from "./specified-case.ts";
import type { FurtherCases } from "./specified-case.ts";

const UNARY = echoService["UnaryEcho"]!;

function fails(): never {
  throw new Error("planned");
}

/** A call to a server that has one method, with its own way to write and to read messages. */
async function callRegistered(
  stage: Stage,
  serialize: (reply: object) => Buffer,
  deserialize: (request: Buffer) => object,
): Promise<string> {
  const handler = (_call: unknown, reply: grpc.sendUnaryData<object>) => reply(null, {});
  const { client } = await stage.pair({
    server: {
      echo: false,
      prepare: (server) => server.register(UNARY.path, handler, serialize, deserialize, "unary"),
    },
  });
  return await unary(client);
}

const limit1000 = { "grpc.max_receive_message_length": 1000 };

export const MESSAGES: FurtherCases = {
  "a reply over the client's limit is not counted as received": {
    async play(stage) {
      const { client } = await stage.pair({ client: { options: limit1000 } });
      return await unary(client, { plan: { replyCharacters: 2000 } });
    },
    comesTo: {
      saw: "RESOURCE_EXHAUSTED",
      client: oneAttempt("UnaryEcho", "RESOURCE_EXHAUSTED", { sent: 7 }),
      server: [oneCall("UnaryEcho", "OK", { sent: 2003, received: 7 })],
    },
  },
  "a request over the server's limit is not counted as received": {
    async play(stage) {
      const { client } = await stage.pair({ server: { options: limit1000 } });
      return await unary(client, { text: "x".repeat(2000) });
    },
    comesTo: {
      saw: "RESOURCE_EXHAUSTED",
      client: oneAttempt("UnaryEcho", "RESOURCE_EXHAUSTED", { sent: 2003 }),
      server: [oneCall("UnaryEcho", "RESOURCE_EXHAUSTED")],
    },
  },
  "a request over the server's limit is not counted after headers were sent either": {
    async play(stage) {
      const { client } = await stage.pair({ server: { options: limit1000 } });
      const stream = bidi(client);
      stream.once("data", () => stream.write({ message: "x".repeat(2000) }));
      stream.write(messageOf(12));
      return await statusOf(stream);
    },
    comesTo: {
      saw: "RESOURCE_EXHAUSTED",
      client: oneAttempt("BidirectionalStreamingEcho", "RESOURCE_EXHAUSTED", {
        sent: 2015,
        received: 12,
      }),
      server: [
        oneCall("BidirectionalStreamingEcho", "RESOURCE_EXHAUSTED", {
          sent: 12,
          received: 12,
        }),
      ],
    },
  },
  "a reply over the server's own limit is not sent": {
    async play(stage) {
      const { client } = await stage.pair({
        server: { options: { "grpc.max_send_message_length": 1000 } },
      });
      return await unary(client, { plan: { replyCharacters: 2000 } });
    },
    comesTo: {
      saw: "RESOURCE_EXHAUSTED",
      client: oneAttempt("UnaryEcho", "RESOURCE_EXHAUSTED", { sent: 7 }),
      server: [oneCall("UnaryEcho", "RESOURCE_EXHAUSTED", { received: 7 })],
    },
  },
  "a reply that cannot be serialized is not sent": {
    play: (stage) => callRegistered(stage, fails, (request) => request),
    comesTo: {
      saw: "INTERNAL",
      client: oneAttempt("UnaryEcho", "INTERNAL", { sent: 7 }),
      server: [oneCall("UnaryEcho", "INTERNAL", { received: 7 })],
    },
  },
  "a request that cannot be deserialized was received": {
    play: (stage) => callRegistered(stage, () => Buffer.alloc(0), fails),
    comesTo: {
      saw: "INTERNAL",
      client: oneAttempt("UnaryEcho", "INTERNAL", { sent: 7 }),
      server: [oneCall("UnaryEcho", "INTERNAL", { received: 7 })],
    },
  },
  "a reply that cannot be deserialized was received": {
    async play(stage) {
      const { client } = await stage.pair();
      return await new Promise((resolve) => {
        client.makeUnaryRequest(
          UNARY.path,
          UNARY.requestSerialize,
          fails,
          messageOf(7),
          (error) => resolve(statusName(error?.code ?? 0)),
        );
      });
    },
    comesTo: {
      saw: "INTERNAL",
      // Whether the server's status is there before the client gives up is a race.
      client: oneAttempt("UnaryEcho", "INTERNAL", { sent: 7, received: 7 }),
      clientEither: [
        oneAttempt("UnaryEcho", "OK", {
          sent: 7,
          received: 7,
          call: "INTERNAL",
        }),
      ],
      server: [oneCall("UnaryEcho", "OK", { sent: 7, received: 7 })],
    },
  },
  "a request that fails to serialize in mid-stream cancels the call": {
    async play(stage) {
      const { client } = await stage.pair();
      const stream = bidi(client, {
        serialize: (message) =>
          message.message === "bad" ? fails() : UNARY.requestSerialize(message) as Buffer,
      });
      stream.once("data", () => stream.write({ message: "bad" }));
      stream.write(messageOf(7));
      return await statusOf(stream);
    },
    comesTo: {
      saw: "INTERNAL",
      client: oneAttempt("BidirectionalStreamingEcho", "INTERNAL", {
        sent: 7,
        received: 7,
      }),
      // Bun never tells its server of the reset that follows the half-close.
      server: [oneCall(
        "BidirectionalStreamingEcho",
        currentRuntime().name === "bun" ? "OK" : "CANCELLED",
        { sent: 7, received: 7 },
      )],
    },
  },
  "a first request that fails to serialize leaves a stream open": {
    async play(stage) {
      const { client } = await stage.pair();
      const stream = bidi(client, { serialize: fails });
      const saw = statusOf(stream);
      stream.write(messageOf(7));
      return await saw;
    },
    comesTo: {
      saw: "INTERNAL",
      client: [{
        "grpc.method": "grpc.examples.echo.Echo/BidirectionalStreamingEcho",
        "grpc.target": "dns:///localhost:50051",
        started: 1,
        ended: { INTERNAL: { attempts: 1, calls: 1 } },
      }],
      server: [[{
        "grpc.method": "grpc.examples.echo.Echo/BidirectionalStreamingEcho",
        started: 1,
        ended: {},
      }]],
      leavesStreamOpen: true,
    },
  },
  "a unary request without a message": {
    play: async (stage) => rawRequest((await stage.server()).port, {}, Buffer.alloc(0)),
    comesTo: {
      saw: "UNIMPLEMENTED",
      client: [],
      server: [oneCall("UnaryEcho", "UNIMPLEMENTED")],
    },
  },
  "a unary request with two messages": {
    play: async (stage) =>
      rawRequest(
        (await stage.server()).port,
        {},
        Buffer.from("0000000002" + "0a00" + "0000000002" + "0a00", "hex"),
      ),
    comesTo: {
      saw: "UNIMPLEMENTED",
      client: [],
      server: [oneCall("UnaryEcho", "UNIMPLEMENTED", { received: 4 })],
    },
  },
  "a request that is not the gzip it says was received": {
    play: async (stage) =>
      rawRequest(
        (await stage.server()).port,
        { "grpc-encoding": "gzip" },
        Buffer.from("01000000020a00", "hex"),
      ),
    comesTo: {
      saw: "INTERNAL",
      client: [],
      server: [oneCall("UnaryEcho", "INTERNAL", { received: 2 })],
    },
  },
};
