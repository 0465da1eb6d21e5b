/**
 * Cases about interceptors, handlers, and the ends of clients, servers and connections.
 *
 * @module
 */
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
import type { Harness, RunningServer } from "../harness.ts";
import { oneAttempt, oneCall } from "./specified-case.ts";
import type { SpecifiedCase, SpecifiedCases } from "./specified-case.ts";

const BIDI = "BidirectionalStreamingEcho";

/** Lets something happen to a bidirectional call after one message in each direction. */
function inMidCall(
  happens: (
    stream: grpc.ClientDuplexStream<EchoMessage, EchoMessage>,
    running: RunningServer & { client: grpc.Client },
  ) => void,
  server: grpc.ServerOptions = {},
): (harness: Harness) => Promise<string> {
  return async (harness) => {
    const running = await harness.pair({ server: { options: server } });
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

/** The outcome of an aborted call. The status on the client depends on what it reads first. */
function cutOff(saw: string) {
  return {
    saw: /^(UNAVAILABLE|CANCELLED|INTERNAL)$/.test(saw) ? saw : "UNAVAILABLE",
    client: oneAttempt(BIDI, saw, { sent: 12, received: 12 }),
    server: [oneCall(BIDI, "CANCELLED", { sent: 12, received: 12 })],
  };
}

function handled(
  handlers: grpc.UntypedServiceImplementation,
  outcome: SpecifiedCase["outcome"],
): SpecifiedCase {
  return {
    async run(harness) {
      const { client } = await harness.pair({
        server: {
          echo: false,
          prepare: (server) => server.addService(echoService, handlers),
        },
      });
      return await unary(client);
    },
    outcome,
  };
}

export const LIFETIMES: SpecifiedCases = {
  "an interceptor that answers by itself makes no call": {
    async run(harness) {
      const { client } = await harness.pair();
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
    outcome: { saw: "NOT_FOUND", client: [], server: [[]] },
  },
  "metrics have the status from before an interceptor rewrites it": {
    async run(harness) {
      const { client } = await harness.pair();
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
    outcome: {
      saw: "ABORTED",
      client: oneAttempt("UnaryEcho", "FAILED_PRECONDITION", { sent: 7 }),
      server: [oneCall("UnaryEcho", "FAILED_PRECONDITION", { received: 7 })],
    },
  },
  "a server interceptor that refuses a call": {
    async run(harness) {
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
      const { client } = await harness.pair({
        server: { options: { interceptors: [refuse] } },
      });
      return await unary(client);
    },
    outcome: {
      saw: "PERMISSION_DENIED",
      client: oneAttempt("UnaryEcho", "PERMISSION_DENIED", { sent: 7 }),
      server: [oneCall("UnaryEcho", "PERMISSION_DENIED")],
    },
  },

  "a handler that throws": {
    run: async (harness) => unary((await harness.pair()).client, { plan: { throws: true } }),
    outcome: {
      saw: "UNKNOWN",
      client: oneAttempt("UnaryEcho", "UNKNOWN", { sent: 7 }),
      server: [oneCall("UnaryEcho", "UNKNOWN", { received: 7 })],
    },
  },
  "a registered method without an implementation keeps its name": handled(
    {},
    {
      saw: "UNIMPLEMENTED",
      client: oneAttempt("UnaryEcho", "UNIMPLEMENTED", { sent: 7 }),
      server: [oneCall("UnaryEcho", "UNIMPLEMENTED", { received: 7 })],
    },
  ),
  "a server without handlers": {
    run: async (harness) => unary((await harness.pair({ server: { echo: false } })).client),
    outcome: {
      saw: "UNIMPLEMENTED",
      client: oneAttempt("UnaryEcho", "UNIMPLEMENTED", { sent: 7 }),
      server: [oneCall("other", "UNIMPLEMENTED")],
    },
  },
  "a status code below zero": {
    run: async (harness) => unary((await harness.pair()).client, { plan: { status: -1 } }),
    outcome: {
      saw: "CODE(-1)",
      client: oneAttempt("UnaryEcho", "UNKNOWN", { sent: 7 }),
      server: [oneCall("UnaryEcho", "UNKNOWN", { received: 7 })],
    },
  },
  "headers without a message": {
    async run(harness) {
      const { client } = await harness.pair();
      return await readToEnd(serverStream(client, { plan: { headersFirst: true, messages: 0 } }));
    },
    outcome: {
      saw: "0 messages then OK",
      client: oneAttempt("ServerStreamingEcho", "OK", { sent: 7 }),
      server: [oneCall("ServerStreamingEcho", "OK", { received: 7 })],
    },
  },
  "a cancellation after the headers": {
    async run(harness) {
      const { client } = await harness.pair();
      const plan = { headersFirst: true, messages: 0, hang: true };
      const stream = serverStream(client, { plan });
      stream.on("metadata", () => stream.cancel());
      return await statusOf(stream);
    },
    outcome: {
      saw: "CANCELLED",
      client: oneAttempt("ServerStreamingEcho", "CANCELLED", { sent: 7 }),
      server: [oneCall("ServerStreamingEcho", "CANCELLED", { received: 7 })],
    },
  },
  "a cancellation after the last message": {
    async run(harness) {
      const { client } = await harness.pair();
      let call: grpc.ClientUnaryCall | undefined;
      const saw = await unary(client, { made: (made) => call = made });
      call?.cancel();
      return saw;
    },
    outcome: {
      saw: "OK",
      client: oneAttempt("UnaryEcho", "OK", { sent: 7, received: 7 }),
      server: [oneCall("UnaryEcho", "OK", { sent: 7, received: 7 })],
    },
  },
  "a server that answers OK before the client has sent everything": {
    async run(harness) {
      const { client } = await harness.pair({
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
    outcome: {
      saw: "OK",
      client: oneAttempt("ClientStreamingEcho", "OK", { sent: 12 }),
      server: [oneCall("ClientStreamingEcho", "OK", { received: 12 })],
    },
  },

  "a draining server lets a call complete": {
    run: inMidCall((stream, { server }) => {
      server.tryShutdown(() => {});
      setImmediate(() => stream.end());
    }),
    outcome: completes,
  },
  "a client that is closed during a call lets it complete": {
    run: inMidCall((stream, { client }) => {
      client.close();
      setImmediate(() => stream.end());
    }),
    outcome: completes,
  },
  "a drained port aborts calls that exceed the grace time": {
    run: inMidCall((_stream, { server, port }) => server.drain(`127.0.0.1:${port}`, 50)),
    outcome: cutOff,
  },
  "a connection that reaches its maximum age": {
    run: inMidCall(() => {}, {
      "grpc.max_connection_age_ms": 100,
      "grpc.max_connection_age_grace_ms": 100,
    }),
    outcome: cutOff,
  },
  "a server that stops answering pings": {
    async run(harness) {
      const script = new Script(harness.owner, run("node", CHILD_SERVER));
      const port = await script.printed(/^Listening on (\d+)\n/m);
      const pid = Number(await script.printed(/^Process (\d+)\n/m));
      const client = harness.client(`localhost:${port}`, {
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
    outcome: {
      saw: "UNAVAILABLE",
      client: oneAttempt(BIDI, "UNAVAILABLE", { sent: 12, received: 12 }),
      server: [[]],
    },
  },

  "connections that the application accepts itself": {
    async run(harness) {
      let injector: grpc.ConnectionInjector | undefined;
      const insecure = grpc.ServerCredentials.createInsecure();
      await harness.server({
        prepare: (server) => injector = server.createConnectionInjector(insecure),
      });
      const listener = createServer((socket) => injector?.injectConnection(socket));
      await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
      try {
        return await unary(harness.client(`localhost:${(listener.address() as AddressInfo).port}`));
      } finally {
        listener.close();
      }
    },
    outcome: {
      saw: "OK",
      client: oneAttempt("UnaryEcho", "OK", { sent: 7, received: 7 }),
      server: [oneCall("UnaryEcho", "OK", { sent: 7, received: 7 })],
    },
  },
  "clients and servers without channelz": {
    async run(harness) {
      const options = { "grpc.enable_channelz": 0 };
      return await unary((await harness.pair({ client: { options }, server: { options } })).client);
    },
    outcome: {
      saw: "OK",
      client: oneAttempt("UnaryEcho", "OK", { sent: 7, received: 7 }),
      server: [oneCall("UnaryEcho", "OK", { sent: 7, received: 7 })],
    },
  },
  "two channels to one server, and two servers of one plugin": {
    async run(harness) {
      const { client } = await harness.pair();
      const { port } = await harness.server();
      await unary(client);
      await unary(harness.client(`localhost:${port}`));
      return await unary(harness.client(`127.0.0.1:${port}`));
    },
    outcome: {
      saw: "OK",
      client: [
        ...oneAttempt("UnaryEcho", "OK", {
          sent: 7,
          received: 7,
          target: "dns:///127.0.0.1:50051",
        }),
        // The targets are two ports of localhost.
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
