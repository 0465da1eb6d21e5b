import { createConnection, createServer } from "node:net";
import type { AddressInfo, Server as TcpServer, Socket } from "node:net";

/** A TCP proxy whose connections a test can cut. */
export class TcpProxy {
  readonly #server: TcpServer;
  readonly #upstream: Socket[] = [];
  readonly connections: Socket[] = [];

  /** @param upstream The port to forward to. If omitted, connections wait for {@link forward}. */
  constructor(upstream?: number) {
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
    downstream.pipe(up).pipe(downstream);
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
