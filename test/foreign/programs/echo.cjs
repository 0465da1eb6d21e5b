"use strict";
/** An Echo service for grpc-js that needs no generated code. */
const FAILED_PRECONDITION = 9;

/** A message is the Protocol Buffers field 1 with a short text. */
const serialize = ({ message }) => {
  const text = Buffer.from(message);
  return Buffer.concat([Buffer.from([0x0a, text.length]), text]);
};
const deserialize = (bytes) => ({ message: bytes.toString("utf8", 2) });

const method = (name, requestStream, responseStream) => ({
  path: `/grpc.examples.echo.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: serialize,
  requestDeserialize: deserialize,
  responseSerialize: serialize,
  responseDeserialize: deserialize,
});

exports.service = {
  unaryEcho: method("UnaryEcho", false, false),
  serverStreamingEcho: method("ServerStreamingEcho", false, true),
  clientStreamingEcho: method("ClientStreamingEcho", true, false),
  bidirectionalStreamingEcho: method("BidirectionalStreamingEcho", true, true),
};

exports.handlers = {
  unaryEcho(call, reply) {
    if (call.request.message !== "fail") reply(null, call.request);
    else reply({ code: FAILED_PRECONDITION, details: "planned" });
  },
  serverStreamingEcho(call) {
    for (let count = 0; count < 3; count++) call.write(call.request);
    call.end();
  },
  clientStreamingEcho(call, reply) {
    let last;
    call.on("data", (request) => last = request);
    call.on("end", () => reply(null, last));
  },
  bidirectionalStreamingEcho(call) {
    call.on("data", (request) => call.write(request));
    call.on("end", () => call.end());
  },
};

/** Binds a server to a free port and returns its address. */
exports.listen = (grpc, server) =>
  new Promise((resolve, reject) =>
    server.bindAsync(
      "127.0.0.1:0",
      grpc.ServerCredentials.createInsecure(),
      (error, port) => error ? reject(error) : resolve(`127.0.0.1:${port}`),
    )
  );

/** Returns the calls of a grpc-js client, see `calls.cjs`. */
exports.callsOf = (client) => ({
  unary: (request) =>
    new Promise((resolve, reject) =>
      client.unaryEcho(request, (error, reply) => error ? reject(error) : resolve(reply))
    ),
  serverStreaming: (request) => exports.collect(client.serverStreamingEcho(request)),
  clientStreaming: (requests) =>
    new Promise((resolve, reject) => {
      const call = client.clientStreamingEcho((error, reply) =>
        error ? reject(error) : resolve(reply)
      );
      exports.send(call, requests);
    }),
  bidirectionalStreaming(requests) {
    const call = client.bidirectionalStreamingEcho();
    exports.send(call, requests);
    return exports.collect(call);
  },
});

exports.send = (call, requests) => {
  for (const request of requests) call.write(request);
  call.end();
};

exports.collect = async (responses) => {
  const collected = [];
  for await (const response of responses) collected.push(response);
  return collected;
};
