import type { Outcome } from "../assert-outcome.ts";
import { echo, LOCALHOST } from "../case.ts";
import type { Ended, Gained } from "../recorded.ts";
import type { Stage } from "../harness.ts";

/** A case that was not recorded: what it comes to follows from gRFC A66 and from grpc-js. */
export interface FurtherCase {
  readonly play: (stage: Stage) => Promise<string>;
  readonly comesTo: Outcome | ((saw: string) => Outcome);
}

export type FurtherCases = Readonly<Record<string, FurtherCase>>;

interface Sizes {
  readonly sent?: number;
  readonly received?: number;
}

interface ClientSizes extends Sizes {
  /** The call's status, if it is not the attempt's. */
  readonly call?: string;
  readonly target?: string;
}

/** The client's series after one call of one attempt. */
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
