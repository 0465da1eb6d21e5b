/**
 * Cases about messages: too long, invalid, too many or missing.
 *
 * @module
 */
import type * as grpc from "@grpc/grpc-js";
import { currentRuntime } from "../../../telemetry/runtime/runtime-name.ts";
import { echoService, statusName } from "../../support/echo.ts";
import { bidi, messageOf, statusOf, unary } from "../calls.ts";
import { rawRequest } from "../../support/raw-request.ts";
import type { Harness } from "../harness.ts";
import { oneAttempt, oneCall } from "./specified-case.ts";
import type { SpecifiedCases } from "./specified-case.ts";

const UNARY = echoService["UnaryEcho"]!;

function fails(): never {
  throw new Error("planned");
}

/** Makes a call to a server with one method that has its own serialization. */
async function callRegistered(
  harness: Harness,
  serialize: (reply: object) => Buffer,
  deserialize: (request: Buffer) => object,
): Promise<string> {
  const handler = (_call: unknown, reply: grpc.sendUnaryData<object>) => reply(null, {});
  const { client } = await harness.pair({
    server: {
      echo: false,
      prepare: (server) => server.register(UNARY.path, handler, serialize, deserialize, "unary"),
    },
  });
  return await unary(client);
}

const limit1000 = { "grpc.max_receive_message_length": 1000 };

export const MESSAGES: SpecifiedCases = {
  "a reply over the client's limit is not counted as received": {
    async run(harness) {
      const { client } = await harness.pair({ client: { options: limit1000 } });
      return await unary(client, { plan: { replyCharacters: 2000 } });
    },
    outcome: {
      saw: "RESOURCE_EXHAUSTED",
      client: oneAttempt("UnaryEcho", "RESOURCE_EXHAUSTED", { sent: 7 }),
      server: [oneCall("UnaryEcho", "OK", { sent: 2003, received: 7 })],
    },
  },
  "a request over the server's limit is not counted as received": {
    async run(harness) {
      const { client } = await harness.pair({ server: { options: limit1000 } });
      return await unary(client, { text: "x".repeat(2000) });
    },
    outcome: {
      saw: "RESOURCE_EXHAUSTED",
      client: oneAttempt("UnaryEcho", "RESOURCE_EXHAUSTED", { sent: 2003 }),
      server: [oneCall("UnaryEcho", "RESOURCE_EXHAUSTED")],
    },
  },
  "a request over the server's limit is not counted after headers either": {
    async run(harness) {
      const { client } = await harness.pair({ server: { options: limit1000 } });
      const stream = bidi(client);
      stream.once("data", () => stream.write({ message: "x".repeat(2000) }));
      stream.write(messageOf(12));
      return await statusOf(stream);
    },
    outcome: {
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
    async run(harness) {
      const { client } = await harness.pair({
        server: { options: { "grpc.max_send_message_length": 1000 } },
      });
      return await unary(client, { plan: { replyCharacters: 2000 } });
    },
    outcome: {
      saw: "RESOURCE_EXHAUSTED",
      client: oneAttempt("UnaryEcho", "RESOURCE_EXHAUSTED", { sent: 7 }),
      server: [oneCall("UnaryEcho", "RESOURCE_EXHAUSTED", { received: 7 })],
    },
  },
  "a reply that cannot be serialized is not sent": {
    run: (harness) => callRegistered(harness, fails, (request) => request),
    outcome: {
      saw: "INTERNAL",
      client: oneAttempt("UnaryEcho", "INTERNAL", { sent: 7 }),
      server: [oneCall("UnaryEcho", "INTERNAL", { received: 7 })],
    },
  },
  "a request that cannot be deserialized counts as received": {
    run: (harness) => callRegistered(harness, () => Buffer.alloc(0), fails),
    outcome: {
      saw: "INTERNAL",
      client: oneAttempt("UnaryEcho", "INTERNAL", { sent: 7 }),
      server: [oneCall("UnaryEcho", "INTERNAL", { received: 7 })],
    },
  },
  "a reply that cannot be deserialized counts as received": {
    async run(harness) {
      const { client } = await harness.pair();
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
    outcome: {
      saw: "INTERNAL",
      // The server's status and the client's failure race.
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
  "a request that cannot be serialized cancels the call in mid-stream": {
    async run(harness) {
      const { client } = await harness.pair();
      const stream = bidi(client, {
        serialize: (message) =>
          message.message === "bad" ? fails() : UNARY.requestSerialize(message) as Buffer,
      });
      stream.once("data", () => stream.write({ message: "bad" }));
      stream.write(messageOf(7));
      return await statusOf(stream);
    },
    outcome: {
      saw: "INTERNAL",
      client: oneAttempt("BidirectionalStreamingEcho", "INTERNAL", {
        sent: 7,
        received: 7,
      }),
      // On Bun, a server never sees a reset that follows the half-close.
      server: [oneCall(
        "BidirectionalStreamingEcho",
        currentRuntime().name === "bun" ? "OK" : "CANCELLED",
        { sent: 7, received: 7 },
      )],
    },
  },
  "a first request that cannot be serialized leaves a stream open": {
    async run(harness) {
      const { client } = await harness.pair();
      const stream = bidi(client, { serialize: fails });
      const saw = statusOf(stream);
      stream.write(messageOf(7));
      return await saw;
    },
    outcome: {
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
    run: async (harness) => rawRequest((await harness.server()).port, {}, Buffer.alloc(0)),
    outcome: {
      saw: "UNIMPLEMENTED",
      client: [],
      server: [oneCall("UnaryEcho", "UNIMPLEMENTED")],
    },
  },
  "a unary request with two messages": {
    run: async (harness) =>
      rawRequest(
        (await harness.server()).port,
        {},
        Buffer.from("0000000002" + "0a00" + "0000000002" + "0a00", "hex"),
      ),
    outcome: {
      saw: "UNIMPLEMENTED",
      client: [],
      server: [oneCall("UnaryEcho", "UNIMPLEMENTED", { received: 4 })],
    },
  },
  "a request with invalid gzip counts as received": {
    run: async (harness) =>
      rawRequest(
        (await harness.server()).port,
        { "grpc-encoding": "gzip" },
        Buffer.from("01000000020a00", "hex"),
      ),
    outcome: {
      saw: "INTERNAL",
      client: [],
      server: [oneCall("UnaryEcho", "INTERNAL", { received: 2 })],
    },
  },
};
