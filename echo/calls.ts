import type * as grpc from "@grpc/grpc-js";
import { callFailure } from "./credentials.ts";
import type { Call } from "./load.ts";
import type { EchoMessage } from "./service.ts";
import type { Settings } from "./settings.ts";

type Reply = grpc.requestCallback<EchoMessage>;

/** A client of the Echo service. */
export interface EchoClient extends grpc.Client {
  UnaryEcho(request: EchoMessage, options: grpc.CallOptions, reply: Reply): grpc.ClientUnaryCall;
  ServerStreamingEcho(
    request: EchoMessage,
    options: grpc.CallOptions,
  ): grpc.ClientReadableStream<EchoMessage>;
  ClientStreamingEcho(
    options: grpc.CallOptions,
    reply: Reply,
  ): grpc.ClientWritableStream<EchoMessage>;
  BidirectionalStreamingEcho(
    options: grpc.CallOptions,
  ): grpc.ClientDuplexStream<EchoMessage, EchoMessage>;
}

const STREAMED_REQUESTS = 3;

/**
 * Returns a function that calls the method in the settings once. The text of its replies is that of
 * the Go example.
 */
export function createCall(client: EchoClient, settings: Settings): Call {
  const request = {
    message: settings.ECHO_MESSAGE_BYTES > 0
      ? "x".repeat(settings.ECHO_MESSAGE_BYTES)
      : "this is examples/opentelemetry",
  };
  const requests = Array.from({ length: STREAMED_REQUESTS }, () => request);
  const deadlineMs = settings.ECHO_DEADLINE_MS;

  return (end) => {
    const done: typeof end = (error, text) => {
      end(error && { code: error.code, details: callFailure(error.details, settings) }, text);
    };
    const options = deadlineMs > 0 ? { deadline: Date.now() + deadlineMs } : {};
    const reply: Reply = (error, message) => done(error, message && textOf(message));
    switch (settings.ECHO_METHOD) {
      case "UnaryEcho":
        return client.UnaryEcho(request, options, reply);
      case "ClientStreamingEcho":
        return send(client.ClientStreamingEcho(options, reply));
      case "ServerStreamingEcho":
        return receive(client.ServerStreamingEcho(request, options), done);
      case "BidirectionalStreamingEcho":
        return receive(send(client.BidirectionalStreamingEcho(options)), done);
    }
  };

  function send<S extends grpc.ClientWritableStream<EchoMessage>>(stream: S): S {
    for (const message of requests) stream.write(message);
    stream.end();
    return stream;
  }
}

function receive(
  stream: grpc.ClientReadableStream<EchoMessage>,
  done: Parameters<Call>[0],
): grpc.ClientReadableStream<EchoMessage> {
  const replies: string[] = [];
  stream.on("data", (message: EchoMessage) => replies.push(textOf(message)));
  stream.on("error", done);
  stream.on("end", () => done(null, replies.join("\n")));
  return stream;
}

/** Returns a message as Go prints it. */
function textOf({ message }: EchoMessage): string {
  return `message:${JSON.stringify(message)}`;
}
