import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** The part of an OTLP/HTTP JSON request that holds counters. */
interface ExportRequest {
  resourceMetrics: {
    scopeMetrics: {
      metrics: {
        name: string;
        sum?: {
          aggregationTemporality: number;
          dataPoints: { asInt?: string; asDouble?: number }[];
        };
      }[];
    }[];
  }[];
}

/** Answers a request whose body has been read. */
export type Answer = (response: ServerResponse) => void;

/** Answers with status 200, as a Collector does. */
export const accept: Answer = (response) => {
  response.writeHead(200, { "content-type": "application/json" }).end("{}");
};

/** An HTTP server that stands in for a Collector, for faults that a real one cannot be made to have. */
export class OtlpReceiver {
  readonly #server: Server;
  answer: Answer = accept;
  /** The number of requests, accepted or not. */
  requests = 0;
  /** The latest value of each counter in accepted requests. */
  readonly counters = new Map<string, number>();

  constructor() {
    this.#server = createServer((request, response) => void this.#receive(request, response));
  }

  async listen(port = 0): Promise<number> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    this.requests++;
    this.answer(response);
    if (response.statusCode !== 200) return;
    const body = JSON.parse(Buffer.concat(chunks).toString()) as ExportRequest;
    for (const { scopeMetrics } of body.resourceMetrics) {
      for (const { metrics } of scopeMetrics) {
        for (const { name, sum } of metrics) {
          const point = sum?.dataPoints[0];
          if (point) this.counters.set(name, Number(point.asInt ?? point.asDouble));
        }
      }
    }
  }
}
