import { connect } from "node:net";
import type { Random } from "../support/random.ts";

/** The number of concurrent attackers. */
const ATTACKERS = 40;

/** Creates one input: all bytes of one connection. */
export type BadInput = (random: Random) => Buffer;

/** The outcome of one input. */
export interface Outcome {
  readonly kind: string;
  /** The whole answer, in Latin-1. */
  readonly answer: string;
  /** Whether the server kept the connection open for longer than the attacker waited. */
  readonly leftOpen: boolean;
}

/** The inputs of an attack. */
export interface Attack {
  readonly kinds: Readonly<Record<string, BadInput>>;
  readonly inputs: number;
  /** How long an attacker waits, in milliseconds, for the server to close the connection. */
  readonly patienceMs: number;
  /** Called after each input with the number of inputs so far. */
  during(sent: number, outcome: Outcome): void;
}

/**
 * Sends bad inputs of all kinds to a port of this host, each over a new connection. Half of the
 * connections are closed properly, the others are reset.
 */
export async function attack(
  port: number,
  random: Random,
  { kinds, inputs, patienceMs, during }: Attack,
): Promise<void> {
  const all = Object.entries(kinds);
  let begun = 0;
  let sent = 0;
  async function attacker(): Promise<void> {
    while (begun < inputs) {
      const [kind, make] = all[begun++ % all.length]!;
      const bytes = make(random);
      const outcome = await send(port, bytes, random.next() < 0.5, patienceMs);
      during(++sent, { kind, ...outcome });
    }
  }
  await Promise.all(Array.from({ length: ATTACKERS }, attacker));
}

/** @param politely Whether to close the connection properly instead of resetting it. */
function send(
  port: number,
  bytes: Buffer,
  politely: boolean,
  patienceMs: number,
): Promise<Omit<Outcome, "kind">> {
  return new Promise((resolve) => {
    let answer = "";
    let leftOpen = false;
    const socket = connect(port, "127.0.0.1");
    // Resetting a connection that is not open yet would wait until it opens.
    const hangUp = () => socket.connecting ? socket.destroy() : socket.resetAndDestroy();
    const timer = setTimeout(() => {
      leftOpen = true;
      hangUp();
    }, patienceMs);
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve({ answer, leftOpen });
    });
    socket.setEncoding("latin1").on("data", (text: string) => answer += text);
    if (politely) socket.end(bytes);
    else socket.write(bytes, () => setImmediate(hangUp));
  });
}
