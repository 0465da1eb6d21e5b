import * as grpc from "@grpc/grpc-js";
import type { CallRequest } from "./peer.ts";

/** One call of a case; the target comes with the pair of peers. */
export interface CaseCall extends Omit<CallRequest, "target"> {
  readonly code: grpc.status;
  /** Cancels it once the server's handler hangs. */
  readonly cancelWhenServed?: true;
}

/** Calls that are recorded alike whichever language is on either side. */
export interface Case {
  readonly title: string;
  readonly calls: readonly CaseCall[];
  /** Why the sizes depend on who made the messages, where they do. */
  readonly ownSizes?: string;
  /** Why a deadline that passes is CANCELLED or DEADLINE_EXCEEDED, where it is either. */
  readonly race?: string;
  /** What servers record instead of the mirror image of what clients do, and why. */
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

/** The codes that gRPC defines but OK, and one that it doesn't. */
const FAILURES = [...Array(17).keys()].map((index) => index + 1);

const failures: Case[] = [
  ...FAILURES.map((code): Case => ({
    title: `code ${code} from each kind`,
    calls: KINDS.map((path) => ({ path, messages: [`status ${code}`], code })),
  })),
  {
    title: "a failure with metadata, in trailers alone or after headers",
    calls: ["trailers 9", "headers 9"].map((message) => ({
      path: UNARY,
      messages: [message],
      code: status.FAILED_PRECONDITION,
    })),
  },
];

const interruptions: Case[] = [
  {
    title: "a unary call and a stream of requests that are cancelled",
    calls: [UNARY, CLIENT_STREAM].map((path) => ({
      path,
      messages: ["hang"],
      code: status.CANCELLED,
      cancelWhenServed: true,
    })),
  },
  {
    title: "streams of replies that are cancelled in the middle",
    calls: [
      { path: SERVER_STREAM, messages: ["hang"], code: status.CANCELLED, cancelAfter: 3 },
      { path: BIDI, messages: ["a", "hang"], code: status.CANCELLED, cancelAfter: 2 },
    ],
  },
  {
    title: "deadlines that pass",
    calls: [
      ok(UNARY, "connect, so that the deadline is the handler's alone"),
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
  title: `${path}, a method that nobody registered`,
  calls: [{ path, messages: ["hello"], code: status.UNIMPLEMENTED }],
  servers: {
    reason: "grpc-go records no end of such a call, and nothing at all if the path is malformed; " +
      "then started = ended + in flight does not hold",
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

/** What both languages record alike, but for the differences that are listed. */
export const CASES: readonly Case[] = [
  ...successes,
  ...failures,
  ...interruptions,
  ...unregisteredMethods,
];
