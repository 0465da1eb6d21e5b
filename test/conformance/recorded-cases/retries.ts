/**
 * Cases about retry policies and servers that misbehave at the level of HTTP/2.
 *
 * @module
 */
import type * as grpc from "@grpc/grpc-js";
import { unary } from "../calls.ts";
import { echo } from "../case.ts";
import type { Cases, ReproducedCase } from "../case.ts";
import { freePort } from "../../support/ports.ts";

const LOOPBACK = "dns:///127.0.0.1:50051";

/** A retry policy with a constant backoff. */
function retrying(maxAttempts = 4, initialBackoff = "0.001s"): grpc.ClientOptions {
  return {
    "grpc.service_config": JSON.stringify({
      loadBalancingConfig: [],
      methodConfig: [{
        name: [{}],
        retryPolicy: {
          maxAttempts,
          initialBackoff,
          maxBackoff: initialBackoff,
          backoffMultiplier: 1,
          retryableStatusCodes: ["UNAVAILABLE"],
        },
      }],
    }),
  };
}

function retryCase(
  settings: Parameters<typeof unary>[1],
  options: grpc.ClientOptions = retrying(),
): ReproducedCase {
  return {
    async run(harness) {
      const { client } = await harness.pair({ client: { options } });
      return await unary(client, { bytes: 12, ...settings });
    },
  };
}

/** Makes a unary call of 12 bytes to a raw server whose streams follow the plans in order. */
function rawCase(plans: readonly string[], options: grpc.ClientOptions = {}): ReproducedCase {
  return {
    async run(harness) {
      const port = await harness.raw(...plans);
      return await unary(harness.client(`127.0.0.1:${port}`, { options }), {
        bytes: 12,
      });
    },
  };
}

export const RETRIES: Cases = {
  "retry-fail-2-then-ok": retryCase({ plan: { failAttempts: 2 } }),
  "retry-pushback-negative": retryCase({
    plan: { failAttempts: 100, pushbackMs: -1 },
  }),
  "retry-not-retryable-code": retryCase({ plan: { status: 3 } }),
  "retry-deadline-during-backoff": {
    async run(harness) {
      const { client } = await harness.pair({
        client: { options: retrying(4, "60s") },
      });
      return await unary(client, {
        bytes: 12,
        plan: { failAttempts: 100 },
        options: { deadline: Date.now() + 500 },
      });
    },
  },
  "no-retry-policy-fail-2": retryCase({ plan: { failAttempts: 2 } }, {}),

  "raw-ok": rawCase(["ok"]),
  "transparent-refused-once": rawCase(["refuse", "ok"]),
  "transparent-goaway-last-stream-0": rawCase(["goaway0", "ok"]),
  "policy-retry-then-refused": rawCase(["trailersonly-unavailable", "refuse", "ok"], retrying()),
  "conn-closed-before-headers": rawCase(["close"]),
  "conn-closed-before-headers-with-policy": rawCase(["close", "ok"], retrying()),
  "conn-closed-after-message": rawCase(["data-then-close"]),
  "http-503": rawCase(["http503"]),
  "rst-cancel": rawCase(["rst-cancel"]),
  "no-grpc-status": {
    ...rawCase(["nostatus"]),
    differs: {
      reason:
        "A response that ends after its headers, without trailers, is INTERNAL in grpc-js and " +
        "UNKNOWN in grpc-go. A response that ends with its headers is UNKNOWN in both.",
      caller: "INTERNAL",
      client: [echo("UnaryEcho", 1, {
        INTERNAL: { attempts: 1, calls: 1, sent_bytes: 12 },
      }, LOOPBACK)],
    },
  },
  "no-grpc-status-again": {
    ...rawCase(["nostatus-headers-only"]),
    streams: ["nostatus-headers-only"],
  },
  "trailers-only-before-request-read": rawCase(["trailersonly-unavailable"]),

  "no-server-failfast": {
    async run(harness) {
      return await unary(harness.client(`localhost:${await freePort()}`));
    },
  },
  "no-server-retry-policy": {
    async run(harness) {
      return await unary(harness.client(`127.0.0.1:${await freePort()}`, { options: retrying() }));
    },
    differs: {
      reason:
        "Without a server and with a retry policy, grpc-go counts more started attempts than " +
        "ended ones. Here every started attempt ends.",
      client: [echo("UnaryEcho", 4, { UNAVAILABLE: { attempts: 4, calls: 1 } }, LOOPBACK)],
    },
  },
  "name-does-not-resolve": {
    async run(harness) {
      return await unary(harness.client("no-such-host.invalid:1"));
    },
  },
};
