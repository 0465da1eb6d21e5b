import type { Attributes } from "@opentelemetry/api";
import type { Metric } from "../support/series.ts";

/** A call for a peer to make. */
export interface CallRequest {
  /** The target that the client dials. */
  readonly target: string;
  /** The method's path, such as `/grpc.examples.echo.Echo/UnaryEcho`. */
  readonly path: string;
  readonly messages: readonly string[];
  readonly deadlineMs?: number;
  /** Whether requests are compressed. */
  readonly gzip?: boolean;
  /** The number of replies after which a stream is cancelled, without a half-close. */
  readonly cancelAfter?: number;
}

/** What the caller of a call saw. */
export interface CallResult {
  readonly code: number;
  readonly replies: readonly string[];
  /** The metadata `reason` in the headers or trailers of a unary call. */
  readonly reason?: string;
}

/** A call in progress. */
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

/** What a peer's plugin has recorded. */
export interface Report {
  readonly metrics: readonly Metric[];
  readonly spans: readonly Span[];
  /** The number of calls that are never answered. */
  readonly hanging: number;
}

/** The header that carries the trace context. */
export type Propagation = "traceparent" | "grpc-trace-bin";

/**
 * A server and a client of the Echo service with the gRPC OpenTelemetry plugin of their language.
 *
 * The text of a message decides what the server does:
 *
 * - `status 9` fails with that code.
 * - `trailers 9` fails with that code and metadata in the trailers.
 * - `headers 9` sends headers with metadata, then fails.
 * - `hang` is never answered.
 * - On a server stream, `replies 9` fails after the replies, and `nothing` sends no reply.
 * - Any other message comes back, three times on a server stream.
 *
 * The last message of a client stream decides, once the client has half-closed.
 */
export interface Peer {
  /** The port of its server on 127.0.0.1. */
  readonly port: number;
  call(request: CallRequest): OngoingCall;
  report(): Promise<Report>;
  /** Stops client and server. Does nothing the second time. */
  stop(): Promise<void>;
}
