import * as grpc from "@grpc/grpc-js";
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Owner } from "../../support/script.ts";
import type { OtlpProtocol } from "../../../telemetry/settings/variables.ts";

/** A refusal: an HTTP status, or a gRPC status with its text. */
export type Refusal = number | { readonly code: grpc.status; readonly details: string };

/** Options of {@link LimitedReceiver}. */
export interface ReceiverOptions {
  /**
   * The largest request that it takes, in bytes. By default those of the real Collector: 4 MiB over
   * gRPC, which is grpc-js's own default too, and 20 MiB over HTTP.
   */
  readonly maxBytes?: number;
}

const identity = (bytes: Buffer) => bytes;

/** Receives exports over one OTLP protocol, refuses those over a limit, and keeps the others. */
export class LimitedReceiver {
  /** The requests that it took. */
  readonly taken: Buffer[] = [];
  /** The number of all requests. */
  requests = 0;
  /** Decides on a request of a size that it takes: a refusal, or the answer's message. */
  decide: (body: Buffer) => Refusal | Buffer;
  readonly #protocol: OtlpProtocol;
  /** The URL for `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  url = "";

  private constructor(protocol: OtlpProtocol) {
    this.#protocol = protocol;
    this.decide = () => this.success;
  }

  /** Starts a receiver on a free port of 127.0.0.1. It stops when the owner is done. */
  static async start(
    owner: Owner,
    protocol: OtlpProtocol,
    options: ReceiverOptions = {},
  ): Promise<LimitedReceiver> {
    const receiver = new LimitedReceiver(protocol);
    if (protocol === "grpc") await receiver.#startGrpc(owner, options);
    else await receiver.#startHttp(owner, options);
    return receiver;
  }

  /** The message of an answer that takes everything. */
  get success(): Buffer {
    return Buffer.from(this.#protocol === "http/json" ? "{}" : "");
  }

  async #startGrpc(owner: Owner, { maxBytes }: ReceiverOptions): Promise<void> {
    const limit = maxBytes === undefined ? {} : { "grpc.max_receive_message_length": maxBytes };
    const server = new grpc.Server(limit);
    for (const [signal, service] of [["metrics", "Metrics"], ["trace", "Trace"]] as const) {
      const path = `/opentelemetry.proto.collector.${signal}.v1.${service}Service/Export`;
      const definition = {
        path,
        requestStream: false,
        responseStream: false,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      } as const;
      server.addService({ Export: definition }, {
        Export: (
          { request }: { request: Buffer },
          reply: (error: Partial<grpc.ServiceError> | null, message?: Buffer) => void,
        ) => {
          const answer = this.#answer(request);
          if (typeof answer === "number") throw new TypeError("an HTTP status over gRPC");
          if (Buffer.isBuffer(answer)) reply(null, answer);
          else reply(answer);
        },
      });
    }
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync(
        "127.0.0.1:0",
        grpc.ServerCredentials.createInsecure(),
        (error, port) => error ? reject(error) : resolve(port),
      )
    );
    owner.after(() => Promise.resolve(server.forceShutdown()));
    this.url = `http://127.0.0.1:${port}`;
  }

  async #startHttp(
    owner: Owner,
    { maxBytes = 20 * 1024 * 1024 }: ReceiverOptions,
  ): Promise<void> {
    const receive = async (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks);
      if (body.length > maxBytes) {
        this.requests++;
        response.writeHead(413).end();
        return;
      }
      const answer = this.#answer(body);
      if (Buffer.isBuffer(answer)) response.writeHead(200).end(answer);
      else response.writeHead(Number(answer)).end();
    };
    const server = createServer((request, response) => void receive(request, response));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    owner.after(async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    });
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #answer(body: Buffer): Refusal | Buffer {
    this.requests++;
    const answer = this.decide(body);
    if (Buffer.isBuffer(answer)) this.taken.push(body);
    return answer;
  }
}
