import { skipWithout } from "../tools.ts";
import { GoPeer, goPeer } from "./go-peer.ts";
import { GrpcJsPeer } from "./grpc-js-peer.ts";
import type { Peer, Propagation } from "./peer.ts";

const program = await goPeer();

/** The options of tests that need the peer in Go. */
export const options = { skip: skipWithout(program, "the peer in Go"), timeout: 120_000 };

/** How long to wait for records of the other process. Generous, because the machine may be busy. */
export const PATIENCE_MS = 15_000;

const START = {
  "grpc-go": (propagation: Propagation | undefined) => GoPeer.start(program!, propagation),
  "grpc-js": (propagation: Propagation | undefined) => GrpcJsPeer.start(propagation),
};
export type Language = keyof typeof START;

/** The pairs of client and server in which grpc-js takes part. */
export const PAIRS = [
  ["grpc-go", "grpc-js"],
  ["grpc-js", "grpc-go"],
  ["grpc-js", "grpc-js"],
] as const;

/** Runs `body` with a peer as client and a peer as server, and stops both afterwards. */
export async function withPair<T>(
  [clientLanguage, serverLanguage]: readonly [Language, Language],
  body: (client: Peer, server: Peer) => Promise<T>,
  propagation?: Propagation,
): Promise<T> {
  const peers: Peer[] = [];
  try {
    peers.push(await START[clientLanguage](propagation));
    peers.push(await START[serverLanguage](propagation));
    return await body(peers[0]!, peers[1]!);
  } catch (cause) {
    throw new Error(`${clientLanguage} client, ${serverLanguage} server`, { cause });
  } finally {
    for (const peer of peers) await peer.stop();
  }
}
