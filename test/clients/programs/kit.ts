import type { GrpcOpenTelemetry } from "../../../plugin/mod.ts";

/** Creates an instrumented Echo server and client with one of the libraries on top of grpc-js. */
export interface Kit {
  /**
   * Serves on an address. The message `fail` fails with FAILED_PRECONDITION, any other comes back. A
   * server stream returns it twice; a client stream returns the last message.
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
  /** A unary call with a label in its call options, if the library passes them on to grpc-js. */
  labelled?(text: string, label: string): Promise<string>;
  close(): void;
}
