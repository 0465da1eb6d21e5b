"use strict";
const assert = require("node:assert/strict");

const HELLO = { message: "hello" };
const THREE = [{ message: "one 1" }, { message: "two 2" }, HELLO];
const texts = (messages) => messages.map(({ message }) => message);

/** Makes calls of all kinds, and checks their replies. `test/foreign/traffic.ts` counts them. */
exports.makeCalls = async ({ unary, serverStreaming, clientStreaming, bidirectionalStreaming }) => {
  for (let count = 0; count < 5; count++) {
    assert.equal((await unary(HELLO)).message, "hello");
  }
  await assert.rejects(async () => await unary({ message: "fail" }), { code: 9 });
  for (let count = 0; count < 2; count++) {
    assert.deepEqual(texts(await serverStreaming(HELLO)), ["hello", "hello", "hello"]);
    assert.equal((await clientStreaming(THREE)).message, "hello");
    assert.deepEqual(texts(await bidirectionalStreaming(THREE)), texts(THREE));
  }
};
