/** The Echo service of the cases: what a handler does is planned by the request's metadata. */
import * as grpc from "@grpc/grpc-js";
import type { EchoMessage } from "../support/echo.ts";

/** The metadata key that carries a {@link Plan}. */
const PLAN_KEY = "x-plan";

/** What a handler does instead of sending back what it was sent. */
export interface Plan {
  /** Fails with this code, after `messages` replies where replies are streamed. */
  readonly status?: number;
  /** How many replies to send to one request; 1 if nothing is said. */
  readonly messages?: number;
  /** Fails with UNAVAILABLE until so many attempts have failed. */
  readonly failAttempts?: number;
  /** Tells the client in how many milliseconds to try again; less than 0 is never. */
  readonly pushbackMs?: number;
  /** Replies with a text of so many characters. */
  readonly replyCharacters?: number;
  /** Fails with an error that has no code. */
  readonly plainError?: boolean;
  /** Throws instead of answering. */
  readonly throws?: boolean;
  /** Never answers. */
  readonly hang?: boolean;
  /** Fails when this gate is opened, not before. */
  readonly gate?: string;
  /** Sends headers before anything else. */
  readonly headersFirst?: boolean;
}

const gates = new Map<string, () => void>();

/** Lets the handler go on that waits at a gate. */
export function openGate(name: string): void {
  gates.get(name)?.();
  gates.delete(name);
}

export function planned(plan: Plan): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set(PLAN_KEY, JSON.stringify(plan));
  return metadata;
}

function planOf(metadata: grpc.Metadata): Plan {
  return JSON.parse(String(metadata.get(PLAN_KEY)[0] ?? "{}"));
}

/** The reply to a request; one without text has no bytes, as in Go. */
function replyTo(
  { message }: EchoMessage,
  { replyCharacters }: Plan,
): EchoMessage {
  if (replyCharacters !== undefined) {
    return { message: "r".repeat(replyCharacters) };
  }
  return message === "" ? {} as EchoMessage : { message };
}

function failure(
  plan: Plan,
  metadata: grpc.Metadata,
): Partial<grpc.StatusObject> | undefined {
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

function planError(
  code: number,
  metadata: grpc.Metadata,
): Partial<grpc.StatusObject> {
  return { code, details: `planned status ${code}`, metadata };
}

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

  ServerStreamingEcho(
    call: grpc.ServerWritableStream<EchoMessage, EchoMessage>,
  ) {
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

  BidirectionalStreamingEcho(
    call: grpc.ServerDuplexStream<EchoMessage, EchoMessage>,
  ) {
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
