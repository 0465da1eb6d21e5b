import { createConnection, createServer } from "node:net";
import type { AddressInfo, Server as TcpServer, Socket } from "node:net";
import { Transform } from "node:stream";

/** Changes what passes through a proxy. Each function makes the streams of one connection. */
export interface Tampering {
  readonly up?: () => Transform;
  readonly down?: () => Transform;
}

/** Returns a stream that flips the last bit of the chunk with the given index. */
export function flipping(index: number): Transform {
  let seen = 0;
  return new Transform({
    transform(chunk: Uint8Array, _, done) {
      if (seen++ === index) chunk[chunk.length - 1]! ^= 1;
      done(null, chunk);
    },
  });
}

/** A TCP proxy whose connections a test can cut. */
export class TcpProxy {
  readonly #server: TcpServer;
  readonly #upstream: Socket[] = [];
  readonly #tampering: Tampering;
  readonly connections: Socket[] = [];

  /** @param upstream The port to forward to. If omitted, connections wait for {@link forward}. */
  constructor(upstream?: number, tampering: Tampering = {}) {
    this.#tampering = tampering;
    this.#server = createServer((downstream) => {
      downstream.on("error", () => {});
      this.connections.push(downstream);
      if (upstream !== undefined) this.forward(downstream, upstream);
    });
  }

  /** Forwards a connection, with all that it has sent, to a port. */
  forward(downstream: Socket, upstream: number): void {
    const up = createConnection(upstream, "127.0.0.1").on("error", () => {});
    this.#upstream.push(up);
    pipe(downstream, this.#tampering.up, up);
    pipe(up, this.#tampering.down, downstream);
  }

  listen(): Promise<number> {
    return new Promise((resolve) => {
      this.#server.listen(0, "127.0.0.1", () => {
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of [...this.connections, ...this.#upstream]) socket.destroy();
  }
}

function pipe(from: Socket, tamper: (() => Transform) | undefined, to: Socket): void {
  if (tamper === undefined) from.pipe(to);
  else from.pipe(tamper()).pipe(to);
}
