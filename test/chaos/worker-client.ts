import * as grpc from "@grpc/grpc-js";
import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import type { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { bidi, clientStream, serverStream, unaryCall } from "../conformance/calls.ts";
import type { CallSettings } from "../conformance/calls.ts";
import { Random } from "../support/random.ts";
import { echoClient } from "../support/echo.ts";
import type { EchoClient, EchoMessage } from "../support/echo.ts";
import { Ledger } from "./ledger.ts";
import type { Work } from "./worker.ts";

/** The time from the start of one call to the start of the next, in milliseconds. */
const PACE_MS = 40;
/** The maximum number of running calls. */
const MOST_CALLS = 50;
/** The longest deadline of a call, in milliseconds. */
const LONGEST_MS = 4000;

/** A server to call. */
interface Peer {
  readonly client: EchoClient;
  /** Its `grpc.target`. */
  readonly target: string;
}

/**
 * Prepares calls of all kinds, which begin with `start` and end with `finish`.
 *
 * @param args The seed of the random calls, and the addresses of the servers.
 */
export function prepareCalls(
  plugin: GrpcOpenTelemetry,
  [seed, ...addresses]: readonly string[],
): Work {
  const random = new Random(Number(seed));
  const ledger = new Ledger();
  const peers = addresses.map((address): Peer => ({
    client: echoClient(
      address,
      plugin.clientOptions({
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.max_reconnect_backoff_ms": 1000,
        "grpc.service_config_disable_resolution": 1,
      }),
    ),
    target: `dns:///${address}`,
  }));
  const running = new Set<Promise<void>>();
  let ended = 0;
  let pace: NodeJS.Timeout | undefined;
  function callOnce(): void {
    if (running.size >= MOST_CALLS) return;
    const call = randomCall(random, random.of(peers), ledger).then(() => {
      ended++;
      running.delete(call);
    });
    running.add(call);
  }
  return {
    ledger,
    get ended() {
      return ended;
    },
    start() {
      pace = setInterval(callOnce, PACE_MS);
    },
    async finish() {
      clearInterval(pace);
      await Promise.all(running);
      for (const { client } of peers) client.close();
    },
  };
}

type Start = (client: EchoClient, settings: CallSettings) => RunningCall;

const KINDS = {
  UnaryEcho: (client, settings) => unaryCall(client, settings, () => {}),
  ServerStreamingEcho: serverStream,
  ClientStreamingEcho: (client, settings) => clientStream(client, settings).call,
  BidirectionalStreamingEcho: bidi,
} satisfies Record<string, Start>;

/** Makes one call, waits for its status, and enters it in the ledger. */
async function randomCall(random: Random, peer: Peer, ledger: Ledger): Promise<void> {
  const kind = random.of(Object.keys(KINDS) as (keyof typeof KINDS)[]);
  const text = randomText(random);
  const cancel = random.chance(text === "hang" ? 0.7 : 0.1)
    ? random.of(["at once", "next turn", "later"] as const)
    : "never";
  const impatient = (text === "hang" && cancel === "never") || random.chance(0.05);
  const timeoutMs = impatient ? random.between(-5, 60) : LONGEST_MS;

  const start: Start = KINDS[kind];
  const call = start(peer.client, {
    text,
    options: { deadline: Date.now() + timeoutMs },
    waitForReady: random.chance(0.3),
  });
  call.on("error", () => {}); // the status event reports it
  const ended = new Promise<void>((resolve) => {
    call.once("status", ({ code }: grpc.StatusObject) => {
      ledger.add(`grpc.examples.echo.Echo/${kind}`, peer.target, grpc.status[code]!);
      resolve();
    });
  });
  if (cancel === "at once") call.cancel();
  if ("write" in call) void writeRequests(random, call, text);
  if ("resume" in call) call.resume();
  if (cancel === "next turn") void nextTurn().then(() => call.cancel());
  if (cancel === "later") void delay(random.between(0, 100)).then(() => call.cancel());
  await ended;
}

type RunningCall =
  & (
    | grpc.ClientUnaryCall
    | grpc.ClientReadableStream<EchoMessage>
    | grpc.ClientWritableStream<EchoMessage>
    | grpc.ClientDuplexStream<EchoMessage, EchoMessage>
  )
  & { on(event: "error", listener: () => void): unknown };

/** A request text, which decides what the server does, see `startServing`. */
function randomText(random: Random): string {
  const draw = random.next();
  if (draw < 0.05) return "hang";
  if (draw < 0.1) return "fail";
  if (draw < 0.3) return "slow";
  return "t".repeat(
    random.chance(0.03) ? random.between(10_000, 200_000) : random.between(0, 200),
  );
}

/** Writes some requests with pauses, so that streams are open when a fault occurs. */
async function writeRequests(
  random: Random,
  call: grpc.ClientWritableStream<EchoMessage>,
  text: string,
): Promise<void> {
  for (let left = random.between(1, 6); left > 0; left--) {
    call.write({ message: text });
    if (random.chance(0.5)) await delay(random.between(0, 60));
  }
  call.end();
}
