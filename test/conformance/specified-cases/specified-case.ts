import type { Outcome } from "../assert-outcome.ts";
import { echo, LOCALHOST } from "../case.ts";
import type { Ended, Gained } from "../recorded.ts";
import type { Harness } from "../harness.ts";

/** A case that was not recorded. Its outcome follows from gRFC A66 and the behaviour of grpc-js. */
export interface SpecifiedCase {
  readonly run: (harness: Harness) => Promise<string>;
  readonly outcome: Outcome | ((saw: string) => Outcome);
}

/** Cases by title. */
export type SpecifiedCases = Readonly<Record<string, SpecifiedCase>>;

interface Sizes {
  readonly sent?: number;
  readonly received?: number;
}

interface ClientSizes extends Sizes {
  /** The status of the call, if it differs from the attempt's. */
  readonly call?: string;
  readonly target?: string;
}

/** The client's series after one call with one attempt. */
export function oneAttempt(
  method: string,
  status: string,
  { sent = 0, received = 0, call = status, target = LOCALHOST }: ClientSizes = {},
): Gained[] {
  const attempt: Ended = {
    attempts: 1,
    sent_bytes: sent,
    rcvd_bytes: received,
  };
  const ended = call === status
    ? { [status]: { ...attempt, calls: 1 } }
    : { [status]: attempt, [call]: { calls: 1 } };
  return [echo(method, 1, ended, target)];
}

/** The server's series after one call. */
export function oneCall(
  method: string,
  status: string,
  { sent = 0, received = 0 }: Sizes = {},
): Gained[] {
  return [
    echo(method, 1, {
      [status]: { calls: 1, sent_bytes: sent, rcvd_bytes: received },
    }),
  ];
}
