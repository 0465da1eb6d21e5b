/** Interceptors, handlers, and the ends of clients, servers and connections. */
import * as grpc from "@grpc/grpc-js";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { echoService } from "../../support/echo.ts";
import type { EchoMessage } from "../../support/echo.ts";
import { run, Script } from "../../support/script.ts";
import {
  bidi,
  clientStream,
  messageOf,
  readToEnd,
  serverStream,
  statusOf,
  unary,
} from "../calls.ts";
import { echo } from "../case.ts";
import { CHILD_SERVER, connected } from "../harness.ts";
import type { RunningServer, Stage } from "../harness.ts";
import { oneAttempt, oneCall } from "./specified-case.ts";
import type { FurtherCase, FurtherCases } from "./specified-case.ts";

const BIDI = "BidirectionalStreamingEcho";

/** Something happens to a call that streams both ways, after one message each way. */
function inMidCall(
  happens: (
    stream: grpc.ClientDuplexStream<EchoMessage, EchoMessage>,
    running: RunningServer & { client: grpc.Client },
  ) => void,
  server: grpc.ServerOptions = {},
): (stage: Stage) => Promise<string> {
  return async (stage) => {
    const running = await stage.pair({ server: { options: server } });
    const stream = bidi(running.client);
    stream.once("data", () => happens(stream, running));
    stream.write(messageOf(12));
    return await statusOf(stream);
  };
}

const completes = {
  saw: "OK",
  client: oneAttempt(BIDI, "OK", { sent: 12, received: 12 }),
  server: [oneCall(BIDI, "OK", { sent: 12, received: 12 })],
};

/** The client's view of a server that cuts it off depends on what it reads first. */
function cutOff(saw: string) {
  return {
    saw: /^(UNAVAILABLE|CANCELLED|INTERNAL)$/.test(saw) ? saw : "UNAVAILABLE",
    client: oneAttempt(BIDI, saw, { sent: 12, received: 12 }),
    server: [oneCall(BIDI, "CANCELLED", { sent: 12, received: 12 })],
  };
}

function handled(
  handlers: grpc.UntypedServiceImplementation,
  comesTo: FurtherCase["comesTo"],
): FurtherCase {
  return {
    async play(stage) {
      const { client } = await stage.pair({
        server: {
          echo: false,
          prepare: (server) => server.addService(echoService, handlers),
        },
      });
      return await unary(client);
    },
    comesTo,
  };
}

export const LIFETIMES: FurtherCases = {
  "an interceptor that answers itself makes no call": {
    async play(stage) {
      const { client } = await stage.pair();
      const answer: grpc.Interceptor = (options, next) =>
        new grpc.InterceptingCall(next(options), {
          start: (_metadata, listener) =>
            listener.onReceiveStatus({
              code: grpc.status.NOT_FOUND,
              details: "",
              metadata: new grpc.Metadata(),
            }),
          sendMessage: () => {},
          halfClose: () => {},
        });
      return await unary(client, { options: { interceptors: [answer] } });
    },
    comesTo: { saw: "NOT_FOUND", client: [], server: [[]] },
  },
  "an interceptor that rewrites the status does so above the metrics": {
    async play(stage) {
      const { client } = await stage.pair();
      const rewrite: grpc.Interceptor = (options, next) =>
        new grpc.InterceptingCall(next(options), {
          start: (metadata, _listener, start) =>
            start(metadata, {
              onReceiveStatus: (status, pass) => pass({ ...status, code: grpc.status.ABORTED }),
            }),
        });
      return await unary(client, {
        plan: { status: 9 },
        options: { interceptors: [rewrite] },
      });
    },
    comesTo: {
      saw: "ABORTED",
      client: oneAttempt("UnaryEcho", "FAILED_PRECONDITION", { sent: 7 }),
      server: [oneCall("UnaryEcho", "FAILED_PRECONDITION", { received: 7 })],
    },
  },
  "a server's interceptor that refuses": {
    async play(stage) {
      const refuse: grpc.ServerInterceptor = (_method, call) =>
        new grpc.ServerInterceptingCall(call, {
          start: (next) => {
            next();
            call.sendStatus({
              code: grpc.status.PERMISSION_DENIED,
              details: "planned",
            });
          },
        });
      const { client } = await stage.pair({
        server: { options: { interceptors: [refuse] } },
      });
      return await unary(client);
    },
    comesTo: {
      saw: "PERMISSION_DENIED",
      client: oneAttempt("UnaryEcho", "PERMISSION_DENIED", { sent: 7 }),
      server: [oneCall("UnaryEcho", "PERMISSION_DENIED")],
    },
  },

  "a handler that throws": {
    play: async (stage) => unary((await stage.pair()).client, { plan: { throws: true } }),
    comesTo: {
      saw: "UNKNOWN",
      client: oneAttempt("UnaryEcho", "UNKNOWN", { sent: 7 }),
      server: [oneCall("UnaryEcho", "UNKNOWN", { received: 7 })],
    },
  },
  "a method that is registered and not implemented keeps its name": handled(
    {},
    {
      saw: "UNIMPLEMENTED",
      client: oneAttempt("UnaryEcho", "UNIMPLEMENTED", { sent: 7 }),
      server: [oneCall("UnaryEcho", "UNIMPLEMENTED", { received: 7 })],
    },
  ),
  "a server without handlers": {
    play: async (stage) => unary((await stage.pair({ server: { echo: false } })).client),
    comesTo: {
      saw: "UNIMPLEMENTED",
      client: oneAttempt("UnaryEcho", "UNIMPLEMENTED", { sent: 7 }),
      server: [oneCall("other", "UNIMPLEMENTED")],
    },
  },
  "a status code below zero": {
    play: async (stage) => unary((await stage.pair()).client, { plan: { status: -1 } }),
    comesTo: {
      saw: "CODE(-1)",
      client: oneAttempt("UnaryEcho", "UNKNOWN", { sent: 7 }),
      server: [oneCall("UnaryEcho", "UNKNOWN", { received: 7 })],
    },
  },
  "headers and no message": {
    async play(stage) {
      const { client } = await stage.pair();
      return await readToEnd(
        serverStream(client, { plan: { headersFirst: true, messages: 0 } }),
      );
    },
    comesTo: {
      saw: "0 messages then OK",
      client: oneAttempt("ServerStreamingEcho", "OK", { sent: 7 }),
      server: [oneCall("ServerStreamingEcho", "OK", { received: 7 })],
    },
  },
  "a cancellation after the headers": {
    async play(stage) {
      const { client } = await stage.pair();
      const plan = { headersFirst: true, messages: 0, hang: true };
      const stream = serverStream(client, { plan });
      stream.on("metadata", () => stream.cancel());
      return await statusOf(stream);
    },
    comesTo: {
      saw: "CANCELLED",
      client: oneAttempt("ServerStreamingEcho", "CANCELLED", { sent: 7 }),
      server: [oneCall("ServerStreamingEcho", "CANCELLED", { received: 7 })],
    },
  },
  "a cancellation after the last message": {
    async play(stage) {
      const { client } = await stage.pair();
      let call: grpc.ClientUnaryCall | undefined;
      const saw = await unary(client, { made: (made) => call = made });
      call?.cancel();
      return saw;
    },
    comesTo: {
      saw: "OK",
      client: oneAttempt("UnaryEcho", "OK", { sent: 7, received: 7 }),
      server: [oneCall("UnaryEcho", "OK", { sent: 7, received: 7 })],
    },
  },
  "a server that answers OK before the client has sent all": {
    async play(stage) {
      const { client } = await stage.pair({
        server: {
          echo: false,
          prepare: (server) =>
            server.addService(echoService, {
              ClientStreamingEcho(
                call: grpc.ServerReadableStream<object, object>,
                reply: grpc.sendUnaryData<object>,
              ) {
                call.once("data", () => reply(null, {}));
              },
            }),
        },
      });
      const { call, ended } = clientStream(client);
      call.write(messageOf(12));
      return await ended;
    },
    comesTo: {
      saw: "OK",
      client: oneAttempt("ClientStreamingEcho", "OK", { sent: 12 }),
      server: [oneCall("ClientStreamingEcho", "OK", { received: 12 })],
    },
  },

  "a server that drains lets a call complete": {
    play: inMidCall((stream, { server }) => {
      server.tryShutdown(() => {});
      setImmediate(() => stream.end());
    }),
    comesTo: completes,
  },
  "a client that is closed in mid-call lets it complete": {
    play: inMidCall((stream, { client }) => {
      client.close();
      setImmediate(() => stream.end());
    }),
    comesTo: completes,
  },
  "a drained port cuts off what is not over in time": {
    play: inMidCall((_stream, { server, port }) => server.drain(`127.0.0.1:${port}`, 50)),
    comesTo: cutOff,
  },
  "a connection that has reached its greatest age": {
    play: inMidCall(() => {}, {
      "grpc.max_connection_age_ms": 100,
      "grpc.max_connection_age_grace_ms": 100,
    }),
    comesTo: cutOff,
  },
  "a server that no longer answers pings": {
    async play(stage) {
      const script = new Script(stage.owner, run("node", CHILD_SERVER));
      const port = await script.printed(/^Listening on (\d+)\n/m);
      const pid = Number(await script.printed(/^Process (\d+)\n/m));
      const client = stage.client(`localhost:${port}`, {
        options: {
          "grpc.keepalive_time_ms": 100,
          "grpc.keepalive_timeout_ms": 200,
        },
      });
      await connected(client);
      const stream = bidi(client);
      stream.once("data", () => process.kill(pid, "SIGSTOP"));
      stream.write(messageOf(12));
      return await statusOf(stream);
    },
    comesTo: {
      saw: "UNAVAILABLE",
      client: oneAttempt(BIDI, "UNAVAILABLE", { sent: 12, received: 12 }),
      server: [[]],
    },
  },

  "connections that the application accepts itself": {
    async play(stage) {
      let injector: grpc.ConnectionInjector | undefined;
      const insecure = grpc.ServerCredentials.createInsecure();
      await stage.server({
        prepare: (server) => injector = server.createConnectionInjector(insecure),
      });
      const listener = createServer((socket) => injector?.injectConnection(socket));
      await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
      try {
        return await unary(
          stage.client(`localhost:${(listener.address() as AddressInfo).port}`),
        );
      } finally {
        listener.close();
      }
    },
    comesTo: {
      saw: "OK",
      client: oneAttempt("UnaryEcho", "OK", { sent: 7, received: 7 }),
      server: [oneCall("UnaryEcho", "OK", { sent: 7, received: 7 })],
    },
  },
  "clients and servers without channelz": {
    async play(stage) {
      const options = { "grpc.enable_channelz": 0 };
      return await unary(
        (await stage.pair({ client: { options }, server: { options } })).client,
      );
    },
    comesTo: {
      saw: "OK",
      client: oneAttempt("UnaryEcho", "OK", { sent: 7, received: 7 }),
      server: [oneCall("UnaryEcho", "OK", { sent: 7, received: 7 })],
    },
  },
  "two channels to one server, and two servers of one plugin": {
    async play(stage) {
      const { client } = await stage.pair();
      const { port } = await stage.server();
      await unary(client);
      await unary(stage.client(`localhost:${port}`));
      return await unary(stage.client(`127.0.0.1:${port}`));
    },
    comesTo: {
      saw: "OK",
      client: [
        ...oneAttempt("UnaryEcho", "OK", {
          sent: 7,
          received: 7,
          target: "dns:///127.0.0.1:50051",
        }),
        // Two ports of localhost.
        ...oneAttempt("UnaryEcho", "OK", { sent: 7, received: 7 }),
        ...oneAttempt("UnaryEcho", "OK", { sent: 7, received: 7 }),
      ],
      server: [[
        echo("UnaryEcho", 3, {
          OK: { calls: 3, sent_bytes: 21, rcvd_bytes: 21 },
        }),
      ]],
    },
  },
};
