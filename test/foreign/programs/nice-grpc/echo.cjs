"use strict";
const { ServerError, Status } = require("nice-grpc");
const { collect } = require("../echo.cjs");

exports.handlers = {
  unaryEcho(request) {
    return request.message === "fail"
      ? Promise.reject(new ServerError(Status.FAILED_PRECONDITION, "planned"))
      : Promise.resolve(request);
  },
  async *serverStreamingEcho(request) {
    for (let count = 0; count < 3; count++) yield request;
  },
  async clientStreamingEcho(requests) {
    return (await collect(requests)).at(-1);
  },
  async *bidirectionalStreamingEcho(requests) {
    yield* requests;
  },
};

async function* stream(messages) {
  yield* messages;
}

/** Returns the calls of a nice-grpc client, see `calls.cjs`. */
exports.callsOf = (client) => ({
  unary: (request) => client.unaryEcho(request),
  serverStreaming: (request) => collect(client.serverStreamingEcho(request)),
  clientStreaming: (requests) => client.clientStreamingEcho(stream(requests)),
  bidirectionalStreaming: (requests) =>
    collect(client.bidirectionalStreamingEcho(stream(requests))),
});
