/**
 * Cases about successful calls and failing handlers.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import * as grpc from "@grpc/grpc-js";
import { echo, LOCALHOST } from "../case.ts";
import type { Cases, ReproducedCase } from "../case.ts";
import { bidi, clientStream, messageOf, readToEnd, serverStream, unary } from "../calls.ts";
import { openGate } from "../handlers.ts";

/** Makes a unary call on a connected channel. */
function unaryCase(settings: Parameters<typeof unary>[1]): ReproducedCase {
  return {
    async run(harness) {
      const { client } = await harness.pair();
      return await unary(client, settings);
    },
  };
}

function failing(status: number): ReproducedCase {
  return unaryCase({ plan: { status } });
}

const gzip = {
  "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip,
};
/** The compressed size of a text of 10,000 letters, which is a message of 10,003 bytes. */
const gzipped10000 = gzipSync(
  Buffer.concat([Buffer.from([0x0a, 0x90, 0x4e]), Buffer.from("x".repeat(10_000))]),
).length;
const gzippedNothing = gzipSync(Buffer.alloc(0)).length;

export const PLAIN: Cases = {
  "first-call-new-channel": {
    async run(harness) {
      const { port } = await harness.server();
      return await unary(harness.client(`localhost:${port}`), { bytes: 32 });
    },
  },
  "unary-ok": unaryCase({ bytes: 32 }),
  "unary-custom-label": unaryCase({ bytes: 4 }),
  "client-stream-3": {
    async run(harness) {
      const { client } = await harness.pair();
      const { call, ended } = clientStream(client);
      for (let i = 0; i < 3; i++) call.write(messageOf(12));
      call.end();
      return await ended;
    },
  },
  "server-stream-3": {
    async run(harness) {
      const { client } = await harness.pair();
      return await readToEnd(serverStream(client, { bytes: 12, plan: { messages: 3 } }));
    },
  },
  "bidi-3": {
    async run(harness) {
      const { client } = await harness.pair();
      const stream = bidi(client);
      for (let i = 0; i < 3; i++) stream.write(messageOf(12));
      stream.end();
      return await readToEnd(stream);
    },
  },
  "client-stream-0-messages": {
    async run(harness) {
      const { client } = await harness.pair();
      const { call, ended } = clientStream(client);
      call.end();
      return await ended;
    },
  },

  "unary-status-01": failing(1),
  "unary-status-02": failing(2),
  "unary-status-03": failing(3),
  "unary-status-04": failing(4),
  "unary-status-06": failing(6),
  "unary-status-07": failing(7),
  "unary-status-08": failing(8),
  "unary-status-09": failing(9),
  "unary-status-11": failing(11),
  "unary-status-12": failing(12),
  "unary-status-13": failing(13),
  "unary-status-15": failing(15),
  "unary-status-16": failing(16),
  "unary-status-17-out-of-range": failing(17),
  "unary-plain-error": unaryCase({ plan: { plainError: true } }),
  "unary-handler-returns-ctx-deadline": failing(grpc.status.DEADLINE_EXCEEDED),
  "server-stream-2-then-error-9": {
    async run(harness) {
      const { client } = await harness.pair();
      const plan = { messages: 2, status: 9, gate: "both replies read" };
      const stream = serverStream(client, { bytes: 12, plan });
      let read = 0;
      stream.on("data", () => ++read === 2 && openGate(plan.gate));
      return await readToEnd(stream);
    },
    differs: {
      reason:
        "When a call fails, a grpc-js client drops messages that it has received but not yet " +
        "passed to the application. They are not counted. In this case the server fails only " +
        "after the client has read both messages.",
    },
  },
  "client-stream-error-3": {
    async run(harness) {
      const { client } = await harness.pair();
      const { call, ended } = clientStream(client, { plan: { status: 3 } });
      for (let i = 0; i < 2; i++) call.write(messageOf(12));
      call.end();
      return await ended;
    },
  },

  "identity-10000": unaryCase({ text: "x".repeat(10_000) }),
  "gzip-10000": {
    async run(harness) {
      const { client } = await harness.pair({ client: { options: gzip } });
      return await unary(client, { text: "x".repeat(10_000) });
    },
    differs: {
      reason:
        "A grpc-js server never compresses its replies, and zlib's gzip output is a few bytes " +
        "smaller than Go's.",
      client: [echo("UnaryEcho", 1, {
        OK: {
          attempts: 1,
          calls: 1,
          sent_bytes: gzipped10000,
          rcvd_bytes: 10_003,
        },
      }, LOCALHOST)],
      server: [echo("UnaryEcho", 1, {
        OK: { calls: 1, sent_bytes: 10_003, rcvd_bytes: gzipped10000 },
      })],
    },
  },
  "gzip-empty-message": {
    async run(harness) {
      const { client } = await harness.pair({ client: { options: gzip } });
      return await unary(client, { bytes: 0 });
    },
    differs: {
      reason: "A grpc-js client compresses an empty message too, to the bytes of an empty gzip " +
        "file. grpc-go does not compress it.",
      client: [echo("UnaryEcho", 1, {
        OK: { attempts: 1, calls: 1, sent_bytes: gzippedNothing },
      }, LOCALHOST)],
      server: [echo("UnaryEcho", 1, { OK: { calls: 1, rcvd_bytes: gzippedNothing } })],
    },
  },
  "large-3MB-both-ways": unaryCase({ text: "x".repeat(3 * 1024 * 1024) }),
  "large-response-5MB-limit-raised": {
    async run(harness) {
      const { client } = await harness.pair({
        client: { options: { "grpc.max_receive_message_length": -1 } },
      });
      return await unary(client, {
        plan: { replyCharacters: 5 * 1024 * 1024 },
      });
    },
  },
  "large-request-over-client-send-limit": {
    async run(harness) {
      const { client } = await harness.pair({
        client: { options: { "grpc.max_send_message_length": 1000 } },
      });
      return await unary(client, { text: "x".repeat(2000) });
    },
    differs: {
      reason:
        "A grpc-js client whose message is too long half-closes the stream before it resets " +
        "it. The server may therefore answer UNIMPLEMENTED, because there is no request, " +
        "before it sees the reset.",
      serverEither: [[echo("UnaryEcho", 1, { UNIMPLEMENTED: { calls: 1 } })], []],
    },
  },
};
