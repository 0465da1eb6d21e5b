import type { GrpcOpenTelemetry } from "../../../plugin/mod.ts";

/** A recorded Echo server and client as one of the libraries on top of grpc-js makes them. */
export interface Kit {
  /**
   * Serves on the address; a message `fail` fails with FAILED_PRECONDITION, any other comes back
   * (twice on a stream of responses to one request, the last one of a stream of requests).
   */
  serve(otel: GrpcOpenTelemetry, address: string): Promise<Served>;
  connect(otel: GrpcOpenTelemetry, address: string): Calls;
}

export interface Served {
  readonly port: number;
  stop(): void;
}

/** The four kinds of calls, with the texts of their messages. */
export interface Calls {
  unary(text: string): Promise<string>;
  serverStreaming(text: string): Promise<string[]>;
  clientStreaming(texts: readonly string[]): Promise<string>;
  bidirectionalStreaming(texts: readonly string[]): Promise<string[]>;
  /** A unary call that has its label from its call options, where the library passes those on. */
  labelled?(text: string, label: string): Promise<string>;
  close(): void;
}
