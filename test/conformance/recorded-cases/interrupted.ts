/**
 * Cases about deadlines, cancellations, and calls that fail before they start.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { setTimeout as delay } from "node:timers/promises";
import { bidi, messageOf, statusOf, unary } from "../calls.ts";
import { echo, LOCALHOST } from "../case.ts";
import type { Cases, Difference } from "../case.ts";
import { eventually } from "../../support/eventually.ts";
import { rawRequest } from "../../support/raw-request.ts";
import type { Harness } from "../harness.ts";

const deadlineRace: Difference = {
  reason: "The deadline timers of both sides race, so the server records CANCELLED or " +
    "DEADLINE_EXCEEDED, with both plugins.",
  serverEither: [[echo("UnaryEcho", 1, { DEADLINE_EXCEEDED: { calls: 1, rcvd_bytes: 7 } })]],
};

export const INTERRUPTED: Cases = {
  "deadline-100ms-server-honours": {
    async run(harness) {
      const { client } = await harness.pair();
      return await unary(client, {
        plan: { hang: true },
        options: { deadline: Date.now() + 100 },
      });
    },
    differs: deadlineRace,
  },
  "deadline-100ms-server-ignores-600ms": {
    async run(harness) {
      const { client } = await harness.pair();
      return await unary(client, {
        plan: { hang: true },
        options: { deadline: Date.now() + 100 },
      });
    },
    differs: deadlineRace,
  },
  "deadline-already-past": {
    async run(harness) {
      const { client } = await harness.pair();
      return await unary(client, { options: { deadline: Date.now() - 1000 } });
    },
    differs: {
      reason:
        "On a connected channel, a grpc-js client starts an attempt even if the deadline has " +
        "already passed, and aborts it at once. So there is an attempt, and the server may " +
        "see it.",
      client: [echo("UnaryEcho", 1, {
        DEADLINE_EXCEEDED: { attempts: 1, calls: 1, sent_bytes: 7 },
      }, LOCALHOST)],
      server: [
        echo("UnaryEcho", 1, {
          OK: { calls: 1, sent_bytes: 7, rcvd_bytes: 7 },
        }),
      ],
      serverEither: [
        [],
        ...["CANCELLED", "DEADLINE_EXCEEDED"].flatMap((status) => [
          [echo("UnaryEcho", 1, { [status]: { calls: 1 } })],
          [echo("UnaryEcho", 1, { [status]: { calls: 1, rcvd_bytes: 7 } })],
        ]),
      ],
    },
  },
  "cancel-unary-after-100ms": {
    async run(harness) {
      const { client } = await harness.pair();
      return await unary(client, {
        plan: { hang: true },
        made: (call) =>
          void serverStarted(harness).then(() => delay(100)).then(() => call.cancel()),
      });
    },
  },
  "cancel-before-start-stream": {
    async run(harness) {
      const { client } = await harness.pair();
      const stream = bidi(client);
      stream.cancel();
      return await statusOf(stream);
    },
    differs: {
      reason: "A call that is cancelled in the same turn of the event loop in which it was made " +
        "ends as CANCELLED without an attempt. On a connected channel, however, grpc-js still " +
        "opens its stream and never closes it, so the server has a call until the connection " +
        "ends.",
      server: [echo("BidirectionalStreamingEcho", 1, {})],
    },
    leavesStreamOpen: true,
  },
  "cancel-bidi-after-1": {
    async run(harness) {
      const { client } = await harness.pair();
      const stream = bidi(client);
      stream.on("data", () => stream.cancel());
      stream.write(messageOf(12));
      return await statusOf(stream);
    },
    differsOn: {
      bun: {
        reason:
          "On Bun, a server sees the client's half-close but never a reset that follows it. A " +
          "cancelled client stream therefore ends as OK if the handler answers the half-close.",
        server: [echo("BidirectionalStreamingEcho", 1, {
          OK: { calls: 1, sent_bytes: 12, rcvd_bytes: 12 },
        })],
      },
    },
  },
  "invalid-metadata": {
    run() {
      try {
        new grpc.Metadata().set("bad", "\u0001");
      } catch {
        return Promise.resolve("an exception");
      }
      return Promise.resolve("OK");
    },
    differs: {
      reason:
        "grpc-js throws an exception when an invalid value is added to metadata, before there " +
        "is a call.",
      caller: "an exception",
      client: [],
    },
  },
  "unknown-compressor-on-client": {
    async run(harness) {
      const { client } = await harness.pair({
        client: {
          options: {
            "grpc.default_compression_algorithm": 99 as grpc.compressionAlgorithms,
          },
        },
      });
      return await unary(client);
    },
    differs: {
      reason: "A grpc-js client that is configured with an unknown compression logs an error and " +
        "sends its messages uncompressed.",
      caller: "OK",
      client: [echo("UnaryEcho", 1, {
        OK: { attempts: 1, calls: 1, sent_bytes: 7, rcvd_bytes: 7 },
      }, LOCALHOST)],
      server: [
        echo("UnaryEcho", 1, {
          OK: { calls: 1, sent_bytes: 7, rcvd_bytes: 7 },
        }),
      ],
    },
  },
  "compressor-unknown-to-server": {
    async run(harness) {
      const { port } = await harness.server();
      const compressed = Buffer.from([
        1,
        0,
        0,
        0,
        7,
        0x0a,
        5,
        ...Buffer.from("hello"),
      ]);
      return await rawRequest(port, { "grpc-encoding": "peer-fake" }, compressed);
    },
    differs: {
      reason: "grpc-js does not support custom compressions, so the request is made with plain " +
        "HTTP/2, and only the server records it. The server counts the bytes of the message " +
        "it received, as gRFC A66 specifies. grpc-go does not.",
      client: [],
      server: [echo("UnaryEcho", 1, { UNIMPLEMENTED: { calls: 1, rcvd_bytes: 7 } })],
    },
  },
  "marshal-error": {
    async run(harness) {
      const { client } = await harness.pair();
      return await unary(client, {
        serialize: () => {
          throw new Error("planned");
        },
      });
    },
    differs: {
      reason: "On a connected channel, a grpc-js client whose request cannot be serialized still " +
        "opens its stream, without a message. The server answers UNIMPLEMENTED.",
      server: [echo("UnaryEcho", 1, { UNIMPLEMENTED: { calls: 1 } })],
    },
  },
  "channel-closed-before-call": {
    async run(harness) {
      const { client } = await harness.pair();
      client.close();
      try {
        return await unary(client);
      } catch {
        return "an exception";
      }
    },
    differs: {
      reason: "A grpc-js client throws an exception when its channel is closed, and makes no call.",
      caller: "an exception",
      client: [],
    },
  },
};

/** Waits until the server has received a call. */
async function serverStarted(harness: Harness): Promise<void> {
  await eventually(async () => {
    if ((await harness.gained("server")).length === 0) {
      throw new Error("no call reached the server");
    }
  }, 30_000);
}
