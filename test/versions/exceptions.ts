/** A test of the plugin that fails with some versions of grpc-js. */
export interface Exception {
  /** The title of the test. */
  readonly test: string;
  /** The last version of grpc-js that it fails with. */
  readonly until: string;
  readonly reason: string;
}

/** Tests that older versions of grpc-js fail because they themselves behave differently. */
export const EXCEPTIONS: readonly Exception[] = [
  {
    test: "throttling stops retries after too many failures",
    until: "1.12.7",
    reason: "the first failure spends all tokens, and a call whose retry is then denied never ends",
  },
  {
    test: "a connection attempt that is pending when the channel closes is not counted",
    until: "1.12.7",
    reason: "a subchannel is connected as soon as its socket is, before the server's SETTINGS",
  },
  ...[
    "attempts wait until a connection opens late, or until their deadline",
    "an attempt that is cancelled before a connection opens has waited",
    "an attempt whose channel closes before a connection opens has waited",
    "each hedge has its own delay",
  ].map((test) => ({
    test,
    until: "1.12.7",
    reason: "a subchannel is connected as soon as its socket is, before the server's SETTINGS",
  })),
  {
    test: "a call whose channel closes before its name is resolved has waited",
    until: "1.10.0",
    reason: "a channel that closes leaves such calls waiting",
  },
  {
    test: "a failure with code 17 is CODE(17)",
    until: "1.10.0",
    reason: "the client turns a code that the specification does not define into UNKNOWN",
  },
  {
    test: "a call whose status is lost to a late message still ends on the server",
    until: "1.10.0",
    reason: "a server writes no message after a status, so the status is sent",
  },
  {
    test: "without a stream handler, calls of registered methods are recorded, with one warning",
    until: "1.10.0",
    reason: "a server's stream that succeeded emits 'cancelled' before 'finish'; the fallback, " +
      "which this version does not need, takes that for its end",
  },
  {
    test: "a channel that uses a proxy has the label of its target",
    until: "1.10.0",
    reason:
      "on Node, a call through an HTTP proxy fails with a protocol error, also without the plugin",
  },
  {
    test: "a connection injector that exists is recorded",
    until: "1.10.12",
    reason: "a server has no connection injectors",
  },
  {
    test: "a server counts the handshakes of a connection injector",
    until: "1.10.12",
    reason: "a server has no connection injectors",
  },
  {
    test: "a server counts handshakes before and after its certificate changes",
    until: "1.10.12",
    reason: "a server's credentials cannot change",
  },
  {
    test: "a server that was instrumented late closes its connections and ports as before",
    until: "1.10.0",
    reason: "a server does not close idle connections",
  },
  ...["with a propagator and no tracer", "with a tracer"].map((what) => ({
    test: `${what}, handlers run in the context that the client sent`,
    until: "1.10.0",
    reason: "on Bun, a client stream that succeeded emits 'cancelled' outside its call",
  })),
  ...[
    "each scheduler update of weighted round robin records the weight of each endpoint",
    "endpoints without reports are not yet usable, and calls fall back to round robin",
    "a weight is not yet usable in the blackout period",
    "weights without new reports become stale",
    "without xDS, weighted round robin has empty labels",
    "plugins of one meter provider record a load balancing policy once",
    "a load balancing policy that exists is recorded from then on",
  ].map((test) => ({
    test,
    until: "1.13.7",
    reason: "there is no policy weighted_round_robin",
  })),
];
