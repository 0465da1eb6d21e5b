import { connect } from "node:net";
import type { Random } from "../support/random.ts";
import { BAD_INPUTS } from "./bad-inputs.ts";

/** How many attackers there are at a time. */
const ATTACKERS = 40;
/** How long one waits for the server to hang up before it does so itself. */
const PATIENCE_MS = 200;

/**
 * Sends bad inputs of all kinds to a port of this host, each over a connection of its own.
 *
 * @param during Called after each, with how many there were.
 */
export async function attack(
  port: number,
  inputs: number,
  random: Random,
  during: (sent: number) => void,
): Promise<void> {
  const kinds = Object.values(BAD_INPUTS);
  let begun = 0;
  let sent = 0;
  async function attacker(): Promise<void> {
    while (begun < inputs) {
      const bytes = kinds[begun++ % kinds.length]!(random);
      await send(port, bytes, random.next() < 0.5);
      during(++sent);
    }
  }
  await Promise.all(Array.from({ length: ATTACKERS }, attacker));
}

/** @param politely Whether the end is told to the server, rather than the connection reset. */
function send(port: number, bytes: Buffer, politely: boolean): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    // A connection that is not open yet would be reset only once it is.
    const hangUp = () => socket.connecting ? socket.destroy() : socket.resetAndDestroy();
    socket.setTimeout(PATIENCE_MS, hangUp);
    socket.on("error", () => {});
    socket.on("close", () => resolve());
    // What the server answers is read, and of no concern.
    socket.resume();
    if (politely) socket.end(bytes);
    else socket.write(bytes, () => setImmediate(hangUp));
  });
}
