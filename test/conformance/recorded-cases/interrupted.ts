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
  reason:
    "Which side's timer is first is a race, so the server's view of a deadline is CANCELLED or " +
    "DEADLINE_EXCEEDED, with both plugins.",
  serverEither: [[
    echo("UnaryEcho", 1, { DEADLINE_EXCEEDED: { calls: 1, rcvd_bytes: 7 } }),
  ]],
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
        "On a connected channel, a grpc-js client starts the attempt of a call whose deadline " +
        "is past, and cuts it off at once; so there is an attempt, and the server may see it.",
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
      reason:
        "A call that is cancelled in the same turn of the event loop in which it was made ends " +
        "CANCELLED without an attempt, but on a connected channel grpc-js opens its stream all the " +
        "same, and then forgets it: the server has a call until the connection ends.",
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
          "Bun tells a server of the client's half-close and never of the reset that follows " +
          "it, so a cancelled stream of requests is OK for a Bun server whose handler answers the " +
          "half-close.",
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
        "grpc-js refuses an invalid value when it is put into the metadata, with an exception; " +
        "there is no call yet.",
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
      reason:
        "A grpc-js client that is configured with a compression it does not have logs an error " +
        "and sends its messages uncompressed.",
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
      return await rawRequest(
        port,
        { "grpc-encoding": "peer-fake" },
        compressed,
      );
    },
    differs: {
      reason:
        "A grpc-js client cannot be given a compression of one's own, so the request is made " +
        "without gRPC and only the server records. Its message did arrive: the server counts its " +
        "bytes, as gRFC A66 says, where grpc-go does not.",
      client: [],
      server: [
        echo("UnaryEcho", 1, { UNIMPLEMENTED: { calls: 1, rcvd_bytes: 7 } }),
      ],
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
      reason:
        "On a connected channel, a grpc-js client whose request cannot be serialized opens its " +
        "stream all the same, without a message: the server answers UNIMPLEMENTED.",
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
      reason:
        "A grpc-js client whose channel is closed throws an exception when it is called; there " +
        "is no call.",
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
