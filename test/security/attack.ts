import { connect } from "node:net";
import type { Random } from "../support/random.ts";

/** How many attackers there are at a time. */
const ATTACKERS = 40;

/** Makes one input: all bytes of one connection. */
export type BadInput = (random: Random) => Buffer;

/** What came of one input. */
export interface Outcome {
  readonly kind: string;
  /** All that came back, in Latin-1. */
  readonly answer: string;
  /** Whether the server was waited for in vain. */
  readonly leftOpen: boolean;
}

/** An attack. */
export interface Attack {
  readonly kinds: Readonly<Record<string, BadInput>>;
  readonly inputs: number;
  /** How long the server has to hang up in milliseconds before the attacker does so. */
  readonly patienceMs: number;
  /** Called after each input, with how many there were. */
  during(sent: number, outcome: Outcome): void;
}

/**
 * Sends bad inputs of all kinds to a port of this host, each over a connection of its own. Of half of
 * them the end is told to the server, of the others it sees the connection reset.
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

/** @param politely Whether the end is told to the server, rather than the connection reset. */
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
    // A connection that is not open yet would be reset only once it is.
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
