/** A test of the plugin that some versions of grpc-js cannot pass. */
export interface Exception {
  /** The test's name. */
  readonly test: string;
  /** The last version that it is about. */
  readonly until: string;
  readonly reason: string;
}

/** What older versions of grpc-js do otherwise, for reasons of their own. */
export const EXCEPTIONS: readonly Exception[] = [
  {
    test: "throttling ends retries when too many calls failed",
    until: "1.12.7",
    reason: "the first failure spends all tokens, and a call whose retry that denies never ends",
  },
  {
    test: "an attempt that is in flight when the channel closes has neither failed nor succeeded",
    until: "1.12.7",
    reason: "a subchannel is connected as soon as its socket is, without the server's settings",
  },
  {
    test: "a failure with code 17 is CODE(17)",
    until: "1.10.0",
    reason: "the client turns a code that is not in the specification into UNKNOWN",
  },
  {
    test: "a call whose status is not sent, because a message came after it, ends for the server",
    until: "1.10.0",
    reason: "a server writes no message after a status, so the status is sent",
  },
  {
    test: "of a server of another shape registered methods are recorded, with one warning",
    until: "1.10.0",
    reason: "a server's stream that succeeded emits 'cancelled' before 'finish'; the fallback, " +
      "which this version does not need, takes that for its end",
  },
];
