import assert from "node:assert/strict";
import { test } from "node:test";
import { bidi, clientStream, messageOf, readToEnd, serverStream, unary } from "./calls.ts";
import { comparable } from "./recorded.ts";
import type { Gained } from "./recorded.ts";
import { echo, LOCALHOST } from "./case.ts";
import { Random } from "../support/random.ts";
import { Harness } from "./harness.ts";
import { eventually } from "../support/eventually.ts";

const CALLS = 200;
const seed = Number(process.env["INVARIANT_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

/** The bytes that the application sent and received with one method. */
class Sums {
  sent = 0;
  received = 0;
}

test(`message sizes add up on both sides (INVARIANT_SEED=${seed})`, async (t) => {
  const random = new Random(seed);
  const harness = new Harness(t);
  const { client } = await harness.pair();
  const sums = {
    UnaryEcho: new Sums(),
    ServerStreamingEcho: new Sums(),
    ClientStreamingEcho: new Sums(),
    BidirectionalStreamingEcho: new Sums(),
  };
  // Messages of up to 129 bytes have 2 bytes in addition to their text.
  const size = () => random.chance(0.1) ? 0 : random.between(3, 129);

  await Promise.all(Array.from({ length: CALLS }, async () => {
    const bytes = size();
    const messages = random.between(0, 30);
    sums.UnaryEcho.sent += bytes;
    sums.UnaryEcho.received += bytes;
    sums.ServerStreamingEcho.sent += bytes;
    sums.ServerStreamingEcho.received += bytes * messages;
    const upload = clientStream(client);
    const exchange = bidi(client);
    let last = 0;
    for (let i = 0; i < messages; i++) {
      last = size();
      upload.call.write(messageOf(last));
      exchange.write(messageOf(last));
      sums.ClientStreamingEcho.sent += last;
      sums.BidirectionalStreamingEcho.sent += last;
      sums.BidirectionalStreamingEcho.received += last;
    }
    sums.ClientStreamingEcho.received += last;
    upload.call.end();
    exchange.end();
    assert.deepEqual(
      await Promise.all([
        unary(client, { bytes }),
        readToEnd(serverStream(client, { bytes, plan: { messages } })),
        upload.ended,
        readToEnd(exchange),
      ]),
      ["OK", `${messages} messages then OK`, "OK", `${messages} messages then OK`],
    );
  }));

  const series = (side: "client" | "server"): Gained[] =>
    Object.entries(sums).map(([method, { sent, received }]) =>
      side === "client"
        ? echo(method, CALLS, {
          OK: {
            attempts: CALLS,
            calls: CALLS,
            sent_bytes: sent,
            rcvd_bytes: received,
          },
        }, LOCALHOST)
        : echo(method, CALLS, {
          OK: { calls: CALLS, sent_bytes: received, rcvd_bytes: sent },
        })
    );
  await eventually(async () => {
    for (const side of ["client", "server"] as const) {
      assert.deepEqual(comparable(await harness.gained(side)), comparable(series(side)));
    }
  }, 20_000);
  harness.close();
});
