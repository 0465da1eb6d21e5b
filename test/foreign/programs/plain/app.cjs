"use strict";
const grpc = require("@grpc/grpc-js");
const { callsOf, handlers, listen, service } = require("../echo.cjs");
const { makeCalls } = require("../calls.cjs");

exports.main = async ({ onServer = () => {}, channelOptions = {} } = {}) => {
  const server = new grpc.Server();
  onServer(server);
  server.addService(service, handlers);
  const address = await listen(grpc, server);

  const Client = grpc.makeGenericClientConstructor(service);
  const client = new Client(address, grpc.credentials.createInsecure(), channelOptions);
  await makeCalls(callsOf(client));
  client.close();
  await new Promise((resolve) => server.tryShutdown(resolve));
};
