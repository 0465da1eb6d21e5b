"use strict";
// A server of the older grpc-js that nice-grpc has, and a client of the application's.
const { credentials, makeGenericClientConstructor } = require("@grpc/grpc-js");
const { createServer } = require("nice-grpc");
const { makeCalls } = require("../calls.cjs");
const { callsOf, service } = require("../echo.cjs");
const { handlers } = require("../nice-grpc/echo.cjs");

exports.main = async ({ channelOptions = {} } = {}) => {
  const server = createServer();
  server.add(service, handlers);
  const port = await server.listen("127.0.0.1:0");

  const Client = makeGenericClientConstructor(service);
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), channelOptions);
  await makeCalls(callsOf(client));
  client.close();
  await server.shutdown();
};
