import type * as grpc from "@grpc/grpc-js";
import type { EchoMessage } from "../support/echo.ts";
import { echoService } from "../support/echo.ts";
import type { CallRequest, CallResult, OngoingCall } from "./peer.ts";

type Method = grpc.MethodDefinition<EchoMessage, EchoMessage>;

/** Creates a message. An empty text is left out, because protobufjs, unlike Go, writes default values. */
export function echoMessage(text: string): EchoMessage {
  return (text === "" ? {} : { message: text }) as EchoMessage;
}

/** Makes a call. A call of a method that the service does not have is unary. */
export function makeCall(client: grpc.Client, request: CallRequest): OngoingCall {
  const replies: string[] = [];
  const call = start(client, request, (text) => replies.push(text));
  const result = new Promise<CallResult>((resolve) => {
    let reason: string | undefined;
    const look = (metadata: grpc.Metadata) => reason ??= metadata.get("reason")[0]?.toString();
    call.on("metadata", look);
    call.on("status", ({ code, metadata }: grpc.StatusObject) => {
      look(metadata);
      resolve({ code, replies, ...(reason !== undefined && { reason }) });
    });
  });
  return { result, cancel: () => call.cancel() };
}

function start(
  client: grpc.Client,
  { path, messages, deadlineMs, cancelAfter }: CallRequest,
  replied: (text: string) => void,
): grpc.ClientUnaryCall | grpc.ClientReadableStream<EchoMessage> {
  const known = Object.values(echoService).find((method) => method.path === path);
  const method = (known ?? echoService["UnaryEcho"]) as Method;
  const rpc = [path, method.requestSerialize, method.responseDeserialize] as const;
  const [first = ""] = messages;
  const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
  const callback: grpc.requestCallback<EchoMessage> = (_, reply) => {
    if (reply !== undefined) replied(reply.message);
  };

  if (!method.responseStream) {
    if (!method.requestStream) {
      return client.makeUnaryRequest(...rpc, echoMessage(first), options, callback);
    }
    const call = client.makeClientStreamRequest(...rpc, options, callback);
    for (const text of messages) call.write(echoMessage(text));
    call.end();
    return call;
  }

  let call: grpc.ClientReadableStream<EchoMessage>;
  if (method.requestStream) {
    const stream = client.makeBidiStreamRequest(...rpc, options);
    for (const text of messages) stream.write(echoMessage(text));
    if (cancelAfter === undefined) stream.end();
    call = stream;
  } else {
    call = client.makeServerStreamRequest(...rpc, echoMessage(first), options);
  }
  let count = 0;
  call.on("data", (reply: EchoMessage) => {
    replied(reply.message);
    if (++count === cancelAfter) call.cancel();
  });
  call.on("error", () => {}); // the status event reports it
  return call;
}
