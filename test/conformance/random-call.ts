/**
 * Random calls of all kinds, and a ledger of how they ended.
 *
 * @module
 */
import type * as grpc from "@grpc/grpc-js";
import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import { statusName } from "../support/echo.ts";
import type { EchoMessage } from "../support/echo.ts";
import { bidi, clientStream, serverStream, unaryCall } from "./calls.ts";
import type { CallSettings } from "./calls.ts";
import type { Plan } from "./handlers.ts";
import type { Random } from "../support/random.ts";

/** A channel under test. */
export interface Peer {
  readonly client: grpc.Client;
  /** Its `grpc.target`. */
  readonly target: string;
  /** Whether the server supports unary calls only. */
  readonly unaryOnly?: boolean;
}

/** The counts that the application keeps itself. */
export class Ledger {
  started = 0;
  ended = 0;
  /** Calls that were cancelled in the same turn of the event loop in which they were made. */
  cancelledAtOnce = 0;
  /** Ended calls by method, target and status. */
  readonly byStatus = new Map<string, number>();

  /** Counts the end of a call. */
  end(method: string, target: string, code: number): void {
    this.ended++;
    const key = `${method} ${target} ${statusName(code)}`;
    this.byStatus.set(key, (this.byStatus.get(key) ?? 0) + 1);
  }

  /** Returns the number of calls that ended with a status. */
  total(status: string): number {
    return [...this.byStatus].filter(([key]) => key.endsWith(` ${status}`))
      .reduce((sum, [, count]) => sum + count, 0);
  }
}

const KINDS = [
  "UnaryEcho",
  "ServerStreamingEcho",
  "ClientStreamingEcho",
  "BidirectionalStreamingEcho",
] as const;

/** The longest deadline of a call, in milliseconds. */
const LONGEST_MS = 5000;

/** Makes one call and waits for its status. */
export async function randomCall(random: Random, peer: Peer, ledger: Ledger): Promise<void> {
  const kind = peer.unaryOnly ? "UnaryEcho" : random.of(KINDS);
  const plan = randomPlan(random);
  const cancel = random.chance(plan.hang ? 0.7 : 0.15)
    ? random.of(["at once", "next turn", "later"] as const)
    : "never";
  const short = plan.hang && cancel === "never";
  const timeoutMs = short || random.chance(0.05)
    ? random.of([-10, 0, 1, 5, 20, 50])
    : peer.unaryOnly
    ? 500
    : LONGEST_MS;
  const settings: CallSettings = {
    text: "t".repeat(random.chance(0.05) ? random.between(1000, 100_000) : random.between(0, 200)),
    plan,
    options: { deadline: Date.now() + timeoutMs },
    waitForReady: random.chance(0.3),
  };

  const call = start(kind, peer.client, settings);
  ledger.started++;
  call.on("error", () => {});
  const ended = new Promise<void>((resolve) => {
    call.once("status", ({ code }: grpc.StatusObject) => {
      ledger.end(`grpc.examples.echo.Echo/${kind}`, peer.target, code);
      resolve();
    });
  });
  if (cancel === "at once") {
    ledger.cancelledAtOnce++;
    call.cancel();
  }
  if ("write" in call) void writeRequests(random, call);
  if ("resume" in call) call.resume();
  if (cancel === "next turn") void nextTurn().then(() => call.cancel());
  if (cancel === "later") {
    void delay(random.between(0, 20)).then(() => call.cancel());
  }
  await ended;
}

type Call =
  & (
    | grpc.ClientUnaryCall
    | grpc.ClientReadableStream<EchoMessage>
    | grpc.ClientWritableStream<EchoMessage>
    | grpc.ClientDuplexStream<EchoMessage, EchoMessage>
  )
  & { on(event: "error", listener: () => void): unknown };

function start(kind: typeof KINDS[number], client: grpc.Client, settings: CallSettings): Call {
  switch (kind) {
    case "UnaryEcho":
      return unaryCall(client, settings, () => {});
    case "ServerStreamingEcho":
      return serverStream(client, settings);
    case "ClientStreamingEcho":
      return clientStream(client, settings).call;
    case "BidirectionalStreamingEcho":
      return bidi(client, settings);
  }
}

async function writeRequests(
  random: Random,
  call: grpc.ClientWritableStream<EchoMessage>,
): Promise<void> {
  for (let left = random.between(0, 4); left > 0; left--) {
    call.write({ message: "m".repeat(random.between(0, 500)) });
    if (random.chance(0.5)) await nextTurn();
  }
  call.end();
}

function randomPlan(random: Random): Plan {
  switch (random.between(0, 9)) {
    case 0:
      return { status: random.between(1, 17) };
    case 1:
      return { failAttempts: random.between(1, 3) };
    case 2:
      return { failAttempts: 1, pushbackMs: random.of([-1, 0, 5]) };
    case 3:
      return { hang: true, headersFirst: random.chance(0.5) };
    case 4:
      return { messages: random.between(0, 20), headersFirst: true };
    case 5:
      return { replyCharacters: random.between(0, 80_000) };
    case 6:
      return random.chance(0.5) ? { plainError: true } : { headersFirst: true, status: 9 };
    default:
      return {};
  }
}
