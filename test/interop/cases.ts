import * as grpc from "@grpc/grpc-js";
import type { CallRequest } from "./peer.ts";

/** One call of a case. The pair of peers determines the target. */
export interface CaseCall extends Omit<CallRequest, "target"> {
  readonly code: grpc.status;
  /** Cancels the call once the server's handler hangs. */
  readonly cancelWhenServed?: true;
}

/** Calls that are recorded in the same way, whichever language each side uses. */
export interface Case {
  readonly title: string;
  readonly calls: readonly CaseCall[];
  /** Why message sizes depend on the language of the sender, if they do. */
  readonly ownSizes?: string;
  /** Why an exceeded deadline may end as CANCELLED instead of DEADLINE_EXCEEDED, if it may. */
  readonly race?: string;
  /** What servers record, if it is not the mirror image of what clients record, and why. */
  readonly servers?: {
    readonly reason: string;
    readonly "grpc-go": Readonly<Record<string, string>>;
    readonly "grpc-js": Readonly<Record<string, string>>;
  };
}

const { status } = grpc;
const UNARY = "/grpc.examples.echo.Echo/UnaryEcho";
const SERVER_STREAM = "/grpc.examples.echo.Echo/ServerStreamingEcho";
const CLIENT_STREAM = "/grpc.examples.echo.Echo/ClientStreamingEcho";
const BIDI = "/grpc.examples.echo.Echo/BidirectionalStreamingEcho";
const KINDS = [UNARY, SERVER_STREAM, CLIENT_STREAM, BIDI];

function ok(path: string, ...messages: string[]): CaseCall {
  return { path, messages, code: status.OK };
}

const MEGABYTES = "x".repeat(3 * 1024 * 1024);

const successes: Case[] = [
  { title: "unary", calls: [ok(UNARY, "hello")] },
  { title: "server streaming", calls: [ok(SERVER_STREAM, "hello")] },
  { title: "client streaming", calls: [ok(CLIENT_STREAM, "a", "bb", "ccc")] },
  { title: "bidirectional streaming", calls: [ok(BIDI, "a", "bb", "ccc")] },
  { title: "calls of all kinds on one channel", calls: KINDS.map((kind) => ok(kind, "hello")) },
  { title: "empty messages of each kind", calls: KINDS.map((kind) => ok(kind, "")) },
  { title: "large messages of each kind", calls: KINDS.map((kind) => ok(kind, MEGABYTES)) },
  {
    title: "no message either way, or none back",
    calls: [ok(CLIENT_STREAM), ok(BIDI), ok(SERVER_STREAM, "nothing")],
  },
  {
    title: "gzip with each kind",
    calls: KINDS.map((kind) => ({ ...ok(kind, "x".repeat(10_000)), gzip: true })),
    ownSizes: "each language has its own deflate, and only grpc-go's server compresses its replies",
  },
];

/** All codes that gRPC defines, except OK, and one that it does not define. */
const FAILURES = [...Array(17).keys()].map((index) => index + 1);

const failures: Case[] = [
  ...FAILURES.map((code): Case => ({
    title: `code ${code} from each kind`,
    calls: KINDS.map((path) => ({ path, messages: [`status ${code}`], code })),
  })),
  {
    title: "a failure with metadata, in trailers only or after headers",
    calls: ["trailers 9", "headers 9"].map((message) => ({
      path: UNARY,
      messages: [message],
      code: status.FAILED_PRECONDITION,
    })),
  },
];

const interruptions: Case[] = [
  {
    title: "a unary call and a client stream that are cancelled",
    calls: [UNARY, CLIENT_STREAM].map((path) => ({
      path,
      messages: ["hang"],
      code: status.CANCELLED,
      cancelWhenServed: true,
    })),
  },
  {
    title: "server and bidirectional streams that are cancelled in the middle",
    calls: [
      { path: SERVER_STREAM, messages: ["hang"], code: status.CANCELLED, cancelAfter: 3 },
      { path: BIDI, messages: ["a", "hang"], code: status.CANCELLED, cancelAfter: 2 },
    ],
  },
  {
    title: "exceeded deadlines",
    calls: [
      ok(UNARY, "connect first, so that the deadline covers the handler only"),
      ...KINDS.map((path) => ({
        path,
        messages: ["hang"],
        code: status.DEADLINE_EXCEEDED,
        deadlineMs: 200,
      })),
    ],
    race:
      "the timers of both sides are due at the same time: a server that gets the client's reset " +
      "first sees a cancellation, and so does a grpc-js client that gets grpc-go's reset first",
  },
];

const STARTED_OTHER = { "grpc.server.call.started{method=other}": "1" };

const unregistered = [
  ["/grpc.examples.echo.Echo/Nope", STARTED_OTHER],
  ["/foo.Bar/Baz", STARTED_OTHER],
  ["/noslash", {}],
] as const;

const unregisteredMethods = unregistered.map(([path, recordedByGo]): Case => ({
  title: `${path}, an unregistered method`,
  calls: [{ path, messages: ["hello"], code: status.UNIMPLEMENTED }],
  servers: {
    reason: "grpc-go does not record the end of such a call, and records nothing if the path is " +
      "malformed, so started = ended + in flight does not hold",
    "grpc-go": recordedByGo,
    "grpc-js": {
      ...STARTED_OTHER,
      "grpc.server.call.duration{method=other,status=UNIMPLEMENTED}": "1",
      "grpc.server.call.sent_total_compressed_message_size{method=other,status=UNIMPLEMENTED}":
        "1 (0)",
      "grpc.server.call.rcvd_total_compressed_message_size{method=other,status=UNIMPLEMENTED}":
        "1 (0)",
    },
  },
}));

/** Cases that both languages record in the same way, except for the differences given. */
export const CASES: readonly Case[] = [
  ...successes,
  ...failures,
  ...interruptions,
  ...unregisteredMethods,
];
