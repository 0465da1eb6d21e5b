import type { Attributes } from "@opentelemetry/api";
import type { Metric } from "../support/series.ts";

/** A call that a peer is asked to make. */
export interface CallRequest {
  /** What the client dials. */
  readonly target: string;
  /** The method's path, such as `/grpc.examples.echo.Echo/UnaryEcho`. */
  readonly path: string;
  readonly messages: readonly string[];
  readonly deadlineMs?: number;
  /** Compresses the requests. */
  readonly gzip?: boolean;
  /** The number of replies after which a stream is cancelled, without a half-close. */
  readonly cancelAfter?: number;
}

/** What the caller of a call saw. */
export interface CallResult {
  readonly code: number;
  readonly replies: readonly string[];
  /** The metadata of that key, from the headers or the trailers of a unary call. */
  readonly reason?: string;
}

/** A call that goes on. */
export interface OngoingCall {
  readonly result: Promise<CallResult>;
  cancel(): void;
}

/** A span that has ended. */
export interface Span {
  readonly name: string;
  /** `CLIENT`, `SERVER` or `INTERNAL`. */
  readonly kind: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId?: string;
  readonly attributes: Attributes;
  readonly events: readonly { readonly name: string; readonly attributes: Attributes }[];
  readonly status: { readonly code: "UNSET" | "OK" | "ERROR"; readonly message?: string };
}

/** What a peer's plugin recorded so far. */
export interface Report {
  readonly metrics: readonly Metric[];
  readonly spans: readonly Span[];
  /** How many calls were asked never to be answered. */
  readonly hanging: number;
}

/** How the context of a trace goes from client to server. */
export type Propagation = "traceparent" | "grpc-trace-bin";

/**
 * A server and a client of the Echo service with its language's gRPC OpenTelemetry plugin.
 *
 * What the server does with a message: `status 9` fails with that code, `trailers 9` with metadata
 * besides, `headers 9` after metadata of its own; `hang` is never answered; anything else comes
 * back, three times on a stream of replies. There `replies 9` fails after the replies and `nothing`
 * has none. A stream of requests is answered by what its last one says, once the client has
 * half-closed.
 */
export interface Peer {
  /** Where its server listens on 127.0.0.1. */
  readonly port: number;
  call(request: CallRequest): OngoingCall;
  report(): Promise<Report>;
  /** Ends client and server; does nothing the second time. */
  stop(): Promise<void>;
}
