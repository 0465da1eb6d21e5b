/**
 * The Echo service of the cases. The metadata of a request plans what its handler does.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import type { EchoMessage } from "../support/echo.ts";

/** The metadata key that carries a {@link Plan}. */
const PLAN_KEY = "x-plan";

/** What a handler does instead of returning the request. */
export interface Plan {
  /** Fails with this code, on a server stream after `messages` replies. */
  readonly status?: number;
  /** The number of replies to each request, by default 1. */
  readonly messages?: number;
  /** The number of attempts that fail with UNAVAILABLE. */
  readonly failAttempts?: number;
  /** The pushback in milliseconds: when the client is to retry. Negative is never. */
  readonly pushbackMs?: number;
  /** The length of the reply's text in characters. */
  readonly replyCharacters?: number;
  /** Fails with an error that has no code. */
  readonly plainError?: boolean;
  /** Throws instead of answering. */
  readonly throws?: boolean;
  /** Never answers. */
  readonly hang?: boolean;
  /** Ends the call only once this gate is opened, see {@link openGate}. */
  readonly gate?: string;
  /** Sends headers before anything else. */
  readonly headersFirst?: boolean;
}

const gates = new Map<string, () => void>();

/** Lets the handler that waits at a gate continue. */
export function openGate(name: string): void {
  gates.get(name)?.();
  gates.delete(name);
}

/** Creates the metadata that carries a plan. */
export function planned(plan: Plan): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set(PLAN_KEY, JSON.stringify(plan));
  return metadata;
}

function planOf(metadata: grpc.Metadata): Plan {
  return JSON.parse(String(metadata.get(PLAN_KEY)[0] ?? "{}"));
}

/** Creates the reply to a request. Without text it has no bytes, as in Go. */
function replyTo({ message }: EchoMessage, { replyCharacters }: Plan): EchoMessage {
  if (replyCharacters !== undefined) {
    return { message: "r".repeat(replyCharacters) };
  }
  return message === "" ? {} as EchoMessage : { message };
}

function failure(plan: Plan, metadata: grpc.Metadata): Partial<grpc.StatusObject> | undefined {
  const previous = Number(metadata.get("grpc-previous-rpc-attempts")[0] ?? 0);
  const trailers = new grpc.Metadata();
  if (plan.pushbackMs !== undefined) {
    trailers.set("grpc-retry-pushback-ms", `${plan.pushbackMs}`);
  }
  if (plan.plainError) return Object.assign(new Error("plain error"));
  if (plan.status !== undefined) return planError(plan.status, trailers);
  if (previous < (plan.failAttempts ?? 0)) {
    return planError(grpc.status.UNAVAILABLE, trailers);
  }
  return undefined;
}

function planError(code: number, metadata: grpc.Metadata): Partial<grpc.StatusObject> {
  return { code, details: `planned status ${code}`, metadata };
}

/** The handlers of the Echo service, which follow the plan of each request. */
export const plannedHandlers: grpc.UntypedServiceImplementation = {
  UnaryEcho(
    call: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
    reply: grpc.sendUnaryData<EchoMessage>,
  ) {
    const plan = planOf(call.metadata);
    if (plan.throws) throw new Error("planned");
    if (plan.headersFirst) call.sendMetadata(new grpc.Metadata());
    if (plan.hang) return;
    const failed = failure(plan, call.metadata);
    if (failed) reply(failed);
    else reply(null, replyTo(call.request, plan));
  },

  ServerStreamingEcho(call: grpc.ServerWritableStream<EchoMessage, EchoMessage>) {
    const plan = planOf(call.metadata);
    if (plan.headersFirst) call.sendMetadata(new grpc.Metadata());
    for (let i = 0; i < (plan.messages ?? 1); i++) {
      call.write(replyTo(call.request, plan));
    }
    if (plan.hang) return;
    const finish = () => {
      const failed = failure(plan, call.metadata);
      if (failed) call.emit("error", failed);
      else call.end();
    };
    if (plan.gate === undefined) finish();
    else gates.set(plan.gate, finish);
  },

  ClientStreamingEcho(
    call: grpc.ServerReadableStream<EchoMessage, EchoMessage>,
    reply: grpc.sendUnaryData<EchoMessage>,
  ) {
    const plan = planOf(call.metadata);
    if (plan.headersFirst) call.sendMetadata(new grpc.Metadata());
    let last: EchoMessage = { message: "" };
    call.on("data", (request: EchoMessage) => last = request);
    call.on("end", () => {
      if (plan.hang) return;
      const failed = failure(plan, call.metadata);
      if (failed) reply(failed);
      else reply(null, replyTo(last, plan));
    });
  },

  BidirectionalStreamingEcho(call: grpc.ServerDuplexStream<EchoMessage, EchoMessage>) {
    const plan = planOf(call.metadata);
    if (plan.headersFirst) call.sendMetadata(new grpc.Metadata());
    call.on("data", (request: EchoMessage) => {
      for (let i = 0; i < (plan.messages ?? 1); i++) {
        call.write(replyTo(request, plan));
      }
    });
    call.on("end", () => {
      if (plan.hang) return;
      const failed = failure(plan, call.metadata);
      if (failed) call.emit("error", failed);
      else call.end();
    });
  },
};
