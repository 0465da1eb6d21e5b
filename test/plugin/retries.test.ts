import * as grpc from "@grpc/grpc-js";
import grpcJs from "@grpc/grpc-js/package.json" with { type: "json" };
import assert from "node:assert/strict";
import { test } from "node:test";
import { METRIC_NAMES } from "../../plugin/metrics/definitions.ts";
import type { EchoMessage } from "../support/echo.ts";
import { unary } from "../support/echo.ts";
import { withEchoPair } from "../support/echo-pair.ts";
import type { EchoPair } from "../support/echo-pair.ts";
import type { Recording } from "../support/series.ts";

const A96 = METRIC_NAMES.filter((name) =>
  /^grpc\.client\.call\.(retries|transparent_retries|hedges|retry_delay)$/.test(name)
);
const METHOD = "grpc.examples.echo.Echo/UnaryEcho";

interface Reply {
  readonly status: grpc.status;
  readonly pushbackMs?: string;
  /** Whether the reply waits until the call is cancelled. */
  readonly never?: boolean;
}

/**
 * Returns handlers that answer the first requests as planned and the others with OK. `seen` collects
 * the number of previous attempts in each request.
 */
function planned(plan: readonly Reply[]) {
  const seen: grpc.MetadataValue[] = [];
  const handlers: grpc.UntypedServiceImplementation = {
    UnaryEcho(
      call: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
      reply: grpc.sendUnaryData<EchoMessage>,
    ) {
      const { status, pushbackMs, never } = plan[seen.length] ?? { status: grpc.status.OK };
      seen.push(call.metadata.get("grpc-previous-rpc-attempts")[0] ?? "none");
      if (never) return;
      if (status === grpc.status.OK) return reply(null, call.request);
      const metadata = new grpc.Metadata();
      if (pushbackMs !== undefined) metadata.set("grpc-retry-pushback-ms", pushbackMs);
      reply({ code: status, details: "planned", metadata });
    },
  };
  return { handlers, seen };
}

function withPolicy(policy: object, more: object = {}): grpc.ClientOptions {
  return {
    "grpc.service_config": JSON.stringify({
      methodConfig: [{ name: [{}], ...policy }],
      loadBalancingConfig: [],
      ...more,
    }),
  };
}

const RETRY = {
  retryPolicy: {
    maxAttempts: 4,
    initialBackoff: "0.05s",
    maxBackoff: "0.05s",
    backoffMultiplier: 1,
    retryableStatusCodes: ["UNAVAILABLE"],
  },
};
const HEDGE = {
  hedgingPolicy: { maxAttempts: 3, hedgingDelay: "0.02s", nonFatalStatusCodes: ["UNAVAILABLE"] },
};
const UNAVAILABLE: Reply = { status: grpc.status.UNAVAILABLE };

/** Runs `body` with a recorded client and a server that answers as planned. */
function pair(
  plan: readonly Reply[],
  client: grpc.ClientOptions,
  body: (pair: EchoPair, seen: readonly grpc.MetadataValue[]) => Promise<void>,
): Promise<void> {
  const { handlers, seen } = planned(plan);
  return withEchoPair(
    { plugin: { enableMetrics: A96 }, client, handlers },
    (pair) => body(pair, seen),
  );
}

/** Returns the sums and counts of the metrics of gRFC A96, and the attempts by status. */
async function recorded(recording: Recording): Promise<Record<string, unknown>> {
  const result: Record<string, unknown> = {};
  for (const { descriptor: { name }, dataPoints } of await recording.metrics()) {
    for (const { attributes, value } of dataPoints) {
      if (typeof value !== "object" || !("sum" in value)) continue;
      const short = name.replace("grpc.client.call.", "");
      if (A96.some((metric) => metric === name)) {
        assert.deepEqual(Object.keys(attributes).sort(), ["grpc.method", "grpc.target"]);
        assert.equal(attributes["grpc.method"], METHOD);
        result[short] = short === "retry_delay" ? value.sum : [value.count, value.sum];
      } else if (name === "grpc.client.attempt.duration") {
        result[`${attributes["grpc.status"]}`] = value.count;
      }
    }
  }
  return result;
}

/**
 * Returns the shortest time that the backoffs may take, in seconds. Each backoff is at most 20 %
 * shorter than configured (gRFC A6). Up to grpc-js 1.13, it may be any shorter time.
 */
function leastBackoff(count: number): number {
  return Number(grpcJs.version.split(".")[1]) < 14 ? 0 : count * 0.04;
}

/** Returns what was recorded without the retry delay, which is checked here. */
async function withDelay(
  recording: Recording,
  atLeastSeconds: number,
): Promise<Record<string, unknown>> {
  const { retry_delay: delay, ...others } = await recorded(recording);
  assert.ok(Number(delay) > 0 && Number(delay) >= atLeastSeconds, `delay ${delay}`);
  assert.ok(Number(delay) < atLeastSeconds + 2, `delay ${delay}`);
  return others;
}

test("the metrics of gRFC A96 are off by default", () => {
  const { handlers } = planned([UNAVAILABLE]);
  return withEchoPair({ client: withPolicy(RETRY), handlers }, async ({ client, recording }) => {
    assert.equal(await unary(client, "hello"), "hello");
    assert.deepEqual(await recorded(recording), { UNAVAILABLE: 1, OK: 1 });
  });
});

test("a call with one attempt is not recorded: zeros are not reported", () =>
  pair([], withPolicy(RETRY), async ({ client, recording }) => {
    assert.equal(await unary(client, "hello"), "hello");
    assert.deepEqual(await recorded(recording), { OK: 1 });
  }));

test("retries and the delay before them are recorded when the call ends", () =>
  pair([UNAVAILABLE, UNAVAILABLE], withPolicy(RETRY), async ({ client, recording }, seen) => {
    assert.equal(await unary(client, "hello"), "hello");
    assert.deepEqual(seen, ["none", "1", "2"]);
    assert.deepEqual(await withDelay(recording, leastBackoff(2)), {
      retries: [1, 2],
      UNAVAILABLE: 2,
      OK: 1,
    });
  }));

test("a call that fails after its last retry has all its retries counted", () =>
  pair(Array(9).fill(UNAVAILABLE), withPolicy(RETRY), async ({ client, recording }) => {
    assert.equal(await unary(client, "hello"), "UNAVAILABLE");
    assert.deepEqual(await withDelay(recording, leastBackoff(3)), {
      retries: [1, 3],
      UNAVAILABLE: 4,
    });
  }));

test("the server's pushback determines the retry delay", () =>
  pair(
    [{ ...UNAVAILABLE, pushbackMs: "200" }],
    withPolicy(RETRY),
    async ({ client, recording }) => {
      assert.equal(await unary(client, "hello"), "hello");
      assert.deepEqual(await withDelay(recording, 0.198), {
        retries: [1, 1],
        UNAVAILABLE: 1,
        OK: 1,
      });
    },
  ));

test("a pushback that forbids retries leaves one attempt", () =>
  pair(
    [{ ...UNAVAILABLE, pushbackMs: "-1" }],
    withPolicy(RETRY),
    async ({ client, recording }) => {
      assert.equal(await unary(client, "hello"), "UNAVAILABLE");
      assert.deepEqual(await recorded(recording), { UNAVAILABLE: 1 });
    },
  ));

test("throttling stops retries after too many failures", () =>
  pair(
    Array(99).fill(UNAVAILABLE),
    withPolicy(RETRY, { retryThrottling: { maxTokens: 4, tokenRatio: 0.1 } }),
    async ({ client, recording }) => {
      // There are 4 tokens. Each failure takes one, and a retry needs more than 2.
      assert.equal(await unary(client, "hello"), "UNAVAILABLE");
      assert.equal(await unary(client, "hello"), "UNAVAILABLE");
      assert.deepEqual(await withDelay(recording, leastBackoff(1)), {
        retries: [1, 1],
        UNAVAILABLE: 3,
      });
    },
  ));

test("hedges are counted separately from retries and add no delay", () =>
  pair(
    [{ ...UNAVAILABLE, never: true }, { ...UNAVAILABLE, never: true }],
    withPolicy(HEDGE),
    async ({ client, recording }, seen) => {
      assert.equal(await unary(client, "hello"), "hello");
      assert.deepEqual(seen, ["none", "1", "2"]);
      assert.deepEqual(await recorded(recording), { hedges: [1, 2], CANCELLED: 2, OK: 1 });
    },
  ));

test("a deadline during a backoff ends the call without another attempt", () =>
  pair(
    [{ ...UNAVAILABLE, pushbackMs: "60000" }],
    withPolicy(RETRY),
    async ({ client, recording }) => {
      const deadline = Date.now() + 150;
      assert.equal(await unary(client, "hello", { deadline }), "DEADLINE_EXCEEDED");
      assert.deepEqual(await recorded(recording), { UNAVAILABLE: 1 });
    },
  ));

test("parallel calls have separate counts", () =>
  pair(
    Array(5).fill(UNAVAILABLE),
    withPolicy(RETRY),
    async ({ client, recording }) => {
      // The first five requests on the channel fail, whichever call they belong to.
      const replies = await Promise.all(Array.from({ length: 5 }, () => unary(client, "hello")));
      assert.deepEqual(replies, Array(5).fill("hello"));
      assert.deepEqual(await withDelay(recording, leastBackoff(5)), {
        retries: [5, 5],
        UNAVAILABLE: 5,
        OK: 5,
      });
    },
  ));
