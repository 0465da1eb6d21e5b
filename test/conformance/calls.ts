/**
 * The calls of the cases. Each resolves with what the caller saw, in the form of `recorded.ts`.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { echoService, statusName } from "../support/echo.ts";
import type { EchoMessage } from "../support/echo.ts";
import { planned } from "./handlers.ts";
import type { Plan } from "./handlers.ts";

/** The properties of a call. */
export interface CallSettings {
  /** The size of each request in bytes, less than 130. */
  readonly bytes?: number;
  /** The text of the request, instead of `bytes`. */
  readonly text?: string;
  readonly plan?: Plan;
  /** The path of another method than the Echo service's own. */
  readonly path?: string;
  readonly options?: grpc.CallOptions;
  /** Whether the call waits for a connection instead of failing without one. */
  readonly waitForReady?: boolean;
  /** Called with the call once it is made. */
  readonly made?: (call: grpc.ClientUnaryCall) => void;
  /** Replaces the Echo service's serialization of requests. */
  readonly serialize?: (request: EchoMessage) => Buffer;
}

/** Creates a message of a size: 2 bytes for tag and length, and the text. */
export function messageOf(bytes: number): EchoMessage {
  return bytes === 0 ? {} as EchoMessage : { message: "x".repeat(bytes - 2) };
}

function requestOf({ bytes = 7, text }: CallSettings): EchoMessage {
  return text === undefined ? messageOf(bytes) : { message: text };
}

function metadataOf({ plan = {}, waitForReady = false }: CallSettings): grpc.Metadata {
  const metadata = planned(plan);
  metadata.setOptions({ waitForReady });
  return metadata;
}

function method(name: string) {
  const { path, requestSerialize, responseDeserialize } = echoService[name]!;
  return {
    path,
    serialize: requestSerialize as (request: EchoMessage) => Buffer,
    deserialize: responseDeserialize as (bytes: Buffer) => EchoMessage,
  };
}

const UNARY = method("UnaryEcho");
const SERVER_STREAM = method("ServerStreamingEcho");
const CLIENT_STREAM = method("ClientStreamingEcho");
const BIDI = method("BidirectionalStreamingEcho");

/** Makes a unary call. */
export function unaryCall(
  client: grpc.Client,
  settings: CallSettings,
  reply: grpc.requestCallback<EchoMessage>,
): grpc.ClientUnaryCall {
  return client.makeUnaryRequest(
    settings.path ?? UNARY.path,
    settings.serialize ?? UNARY.serialize,
    UNARY.deserialize,
    requestOf(settings),
    metadataOf(settings),
    settings.options ?? {},
    reply,
  );
}

/** Makes a unary call. Resolves with the name of its status. */
export function unary(client: grpc.Client, settings: CallSettings = {}): Promise<string> {
  return new Promise((resolve) => {
    const call = unaryCall(
      client,
      settings,
      (error) => resolve(statusName(error?.code ?? grpc.status.OK)),
    );
    settings.made?.(call);
  });
}

/** Makes a call that streams responses. */
export function serverStream(
  client: grpc.Client,
  settings: CallSettings = {},
): grpc.ClientReadableStream<EchoMessage> {
  return client.makeServerStreamRequest(
    settings.path ?? SERVER_STREAM.path,
    settings.serialize ?? SERVER_STREAM.serialize,
    SERVER_STREAM.deserialize,
    requestOf(settings),
    metadataOf(settings),
    settings.options ?? {},
  );
}

/** A call that streams requests, with the name of its status. */
export interface ClientStream {
  readonly call: grpc.ClientWritableStream<EchoMessage>;
  readonly ended: Promise<string>;
}

/** Makes a call that streams requests. */
export function clientStream(client: grpc.Client, settings: CallSettings = {}): ClientStream {
  let resolve: (saw: string) => void;
  const ended = new Promise<string>((done) => resolve = done);
  const call = client.makeClientStreamRequest(
    settings.path ?? CLIENT_STREAM.path,
    settings.serialize ?? CLIENT_STREAM.serialize,
    CLIENT_STREAM.deserialize,
    metadataOf(settings),
    settings.options ?? {},
    (error) => resolve(statusName(error?.code ?? grpc.status.OK)),
  );
  return { call, ended };
}

/** Makes a call that streams in both directions. */
export function bidi(
  client: grpc.Client,
  settings: CallSettings = {},
): grpc.ClientDuplexStream<EchoMessage, EchoMessage> {
  return client.makeBidiStreamRequest(
    settings.path ?? BIDI.path,
    settings.serialize ?? BIDI.serialize,
    BIDI.deserialize,
    metadataOf(settings),
    settings.options ?? {},
  );
}

/** Reads a stream to its end. Resolves with `3 messages then OK`. */
export async function readToEnd(stream: grpc.ClientReadableStream<EchoMessage>): Promise<string> {
  let messages = 0;
  stream.on("data", () => messages++);
  const status = await statusOf(stream);
  return `${messages} messages then ${status}`;
}

/** Reads a stream to its end. Resolves with the name of its status. */
export function statusOf(stream: grpc.ClientReadableStream<EchoMessage>): Promise<string> {
  stream.on("error", () => {}); // the status event reports it
  stream.resume();
  return new Promise((resolve) => {
    stream.on("status", ({ code }: grpc.StatusObject) => resolve(statusName(code)));
  });
}
