import assert from "node:assert/strict";
import { test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { runLoad } from "../../echo/load.ts";
import type { Call, LoadOptions } from "../../echo/load.ts";
import { Recorder } from "./recorder.ts";

const PATH = "/grpc.examples.echo.Echo/UnaryEcho";
const OPTIONS: LoadOptions = {
  concurrency: 20,
  qps: 0,
  count: 0,
  durationSeconds: 0,
  intervalMs: 0,
};
const same = (buffer: Buffer) => buffer;

/** Runs `body` with calls to a real server that has the handler `answer`. */
async function withServer(
  answer: grpc.handleUnaryCall<Buffer, Buffer>,
  body: (call: Call, server: grpc.Server) => Promise<void>,
): Promise<void> {
  const server = new grpc.Server();
  server.register(PATH, answer, same, same, "unary");
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync(
      "127.0.0.1:0",
      credentials,
      (error, bound) => error ? reject(error) : resolve(bound),
    );
  });
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const call: Call = (done) =>
    client.makeUnaryRequest(
      PATH,
      same,
      same,
      Buffer.from("hello"),
      (error, reply) => done(error, String(reply)),
    );
  try {
    await body(call, server);
  } finally {
    client.close();
    server.forceShutdown();
  }
}

test("every reply of a real server is counted once", async () => {
  let handled = 0;
  await withServer((call, callback) => {
    handled += 1;
    if (handled % 100 === 0) callback({ code: grpc.status.ABORTED, details: "every hundredth" });
    else callback(null, call.request);
  }, async (call) => {
    const recorder = new Recorder();
    const summary = await runLoad(call, { ...OPTIONS, count: 500 }, recorder);
    assert.equal(handled, 500);
    assert.equal(summary.calls, 500);
    assert.deepEqual([...summary.errorsByCode], [["ABORTED", 5]]);
    assert.deepEqual(new Set(recorder.replies), new Set(["hello"]));
    assert.equal(recorder.replies.length, 495);
    assert.equal(recorder.errors[0]!.details, "every hundredth");
  });
});

test("calls that a real server never answers are cancelled after the grace", async () => {
  let handled = 0;
  const stop = new AbortController();
  await withServer(() => {
    handled += 1;
    if (handled === 20) stop.abort();
  }, async (call) => {
    const options = { ...OPTIONS, signal: stop.signal, graceMs: 50 };
    const summary = await runLoad(call, options, new Recorder());
    assert.deepEqual([...summary.errorsByCode], [["CANCELLED", 20]]);
    assert.equal(summary.succeeded, 0);
  });
});

test("without a server, calls fail with UNAVAILABLE and the reason, and the run continues", async () => {
  await withServer((call, callback) => callback(null, call.request), async (call, server) => {
    server.forceShutdown();
    const recorder = new Recorder();
    const summary = await runLoad(call, { ...OPTIONS, concurrency: 3, count: 6 }, recorder);
    assert.deepEqual([...summary.errorsByCode], [["UNAVAILABLE", 6]]);
    assert.match(recorder.errors[0]!.details, /No connection established/);
  });
});
