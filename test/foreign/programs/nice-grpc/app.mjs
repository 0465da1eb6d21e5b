import { createChannel, createClient, createServer, ServerError, Status } from "nice-grpc";
import { makeCalls } from "../calls.cjs";
import { collect, service } from "../echo.cjs";

const handlers = {
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

export async function main({ onChannel = () => {} } = {}) {
  const server = createServer();
  server.add(service, handlers);
  const port = await server.listen("127.0.0.1:0");

  const channel = createChannel(`127.0.0.1:${port}`);
  onChannel(channel);
  const client = createClient(service, channel);
  await makeCalls({
    unary: (request) => client.unaryEcho(request),
    serverStreaming: (request) => collect(client.serverStreamingEcho(request)),
    clientStreaming: (requests) => client.clientStreamingEcho(stream(requests)),
    bidirectionalStreaming: (requests) =>
      collect(client.bidirectionalStreamingEcho(stream(requests))),
  });
  channel.close();
  await server.shutdown();
}
