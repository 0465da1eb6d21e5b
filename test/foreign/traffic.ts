/** What is recorded of the calls that `programs/calls.cjs` makes. */
import { clientSeries, serverSeries } from "../support/echo-pair.ts";

/** Calls of one method that end alike. */
interface Calls {
  readonly method: string;
  readonly status: string;
  readonly count: number;
  /** Bytes of all requests and of all replies. */
  readonly sent: number;
  readonly received: number;
}

/** The bytes of a message with the text `hello`, or with another one of 5 letters. */
const HELLO = 7;
const FAIL = 6;

const TRAFFIC: readonly Calls[] = [
  { method: "UnaryEcho", status: "OK", count: 5, sent: 5 * HELLO, received: 5 * HELLO },
  { method: "UnaryEcho", status: "FAILED_PRECONDITION", count: 1, sent: FAIL, received: 0 },
  {
    method: "ServerStreamingEcho",
    status: "OK",
    count: 2,
    sent: 2 * HELLO,
    received: 6 * HELLO,
  },
  {
    method: "ClientStreamingEcho",
    status: "OK",
    count: 2,
    sent: 6 * HELLO,
    received: 2 * HELLO,
  },
  {
    method: "BidirectionalStreamingEcho",
    status: "OK",
    count: 2,
    sent: 6 * HELLO,
    received: 6 * HELLO,
  },
];

/** The client's series after all calls. */
export function clientTraffic(): Record<string, string> {
  return sum(TRAFFIC.map(({ method, status, ...calls }) => clientSeries(method, status, calls)));
}

/** The server's series after all calls. */
export function serverTraffic(): Record<string, string> {
  return sum(
    TRAFFIC.map(({ method, status, count, sent, received }) =>
      serverSeries(method, status, { count, sent: received, received: sent })
    ),
  );
}

/** Adds up the values of series without a status, which several {@link Calls} have in common. */
function sum(several: readonly Record<string, string>[]): Record<string, string> {
  const total: Record<string, string> = {};
  for (const [name, value] of several.flatMap((series) => Object.entries(series))) {
    total[name] = name in total ? `${Number(total[name]) + Number(value)}` : value;
  }
  return total;
}
