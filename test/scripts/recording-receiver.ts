import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from "node:http";
import { createSecureServer, createServer as createPlainHttp2Server } from "node:http2";
import type { Http2Server, Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { SecureServerOptions } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { OtlpProtocol } from "../../telemetry/settings/variables.ts";
import type { Owner } from "../support/script.ts";

/** An export as received. */
export interface ExportRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** TLS settings like a Collector's, with certificates as texts instead of files. */
export type ReceiverTls = Pick<
  SecureServerOptions,
  "cert" | "key" | "ca" | "requestCert" | "rejectUnauthorized"
>;

/** Accepts exports over every OTLP protocol, and keeps them. */
export class RecordingReceiver {
  readonly requests: ExportRequest[] = [];
  /** Whether it answers requests. */
  answers = true;
  readonly #server: Server | Http2Server;
  readonly #connections = new Set<Socket>();

  private constructor(server: Server | Http2Server) {
    this.#server = server;
    server.on("request", (
      request: IncomingMessage | Http2ServerRequest,
      response: ServerResponse & Http2ServerResponse,
    ) => void this.#receive(request, response));
    server.on("connection", (socket: Socket) => this.#connections.add(socket));
    // One side does not trust the other's certificate.
    server.on("tlsClientError", () => {}).on("sessionError", () => {});
  }

  /**
   * Starts a receiver on a free port of 127.0.0.1. It stops when the owner is done.
   *
   * @param socket the path of a Unix socket to listen on instead
   */
  static async start(
    owner: Owner,
    protocol: OtlpProtocol,
    tls?: ReceiverTls,
    socket?: string,
  ): Promise<RecordingReceiver> {
    const receiver = new RecordingReceiver(
      tls
        ? createSecureServer({ ...tls, allowHTTP1: true })
        : protocol === "grpc"
        ? createPlainHttp2Server()
        : createServer(),
    );
    const server = receiver.#server;
    if (socket === undefined) server.listen(0, "127.0.0.1");
    else server.listen(socket);
    await once(server, "listening");
    owner.after(async () => {
      const closed = once(server, "close");
      server.close();
      for (const connection of receiver.#connections) connection.destroy();
      await closed;
    });
    return receiver;
  }

  /** `localhost:port`. */
  get host(): string {
    return `localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  async #receive(
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse & Http2ServerResponse,
  ): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { url = "", headers } = request;
    this.requests.push({ path: url, headers, body: Buffer.concat(chunks) });
    if (!this.answers) return;
    response.writeHead(200, { "content-type": headers["content-type"] });
    if (headers["content-type"] === "application/json") response.end("{}");
    else if (headers["content-type"] === "application/grpc") {
      response.write(Buffer.alloc(5)); // an empty message and its length
      response.addTrailers({ "grpc-status": "0" });
      response.end();
    } else response.end();
  }
}
