/** The metrics of gRFC A94, A96 and A121 and the spans of gRFC A72, with servers that violate HTTP/2. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { METRIC_NAMES } from "../../plugin/metrics/definitions.ts";
import { eventuallyEqual } from "../support/eventually.ts";
import { SpanRecording } from "../support/spans.ts";
import { unary } from "./calls.ts";
import { Harness } from "./harness.ts";

const ENABLED = METRIC_NAMES.filter((name) =>
  /^grpc\.(client\.call\.(retries|transparent|hedges)|subchannel)|\.delay\./.test(name)
);

const RETRY_POLICY = JSON.stringify({
  loadBalancingConfig: [],
  methodConfig: [{
    name: [{}],
    retryPolicy: {
      maxAttempts: 4,
      initialBackoff: "0.001s",
      maxBackoff: "0.001s",
      backoffMultiplier: 1,
      retryableStatusCodes: ["UNAVAILABLE"],
    },
  }],
});

interface Outcome {
  readonly saw: string;
  /** The series of gRFC A94, A96 and A121, by the last parts of their names. */
  readonly series: Readonly<Record<string, string>>;
  /** For each attempt, the number of previous attempts and whether it is a transparent retry. */
  readonly attempts: readonly (readonly [previous: number, transparent: boolean])[];
}

/** The first attempt waits for a connection, and those after it use that. */
const WAITED_ONCE = {
  "call.delay.duration resolving": "1",
  "attempt.delay.duration connecting": "1",
};

const CASES: Readonly<Record<string, readonly [plans: string[], Outcome]>> = {
  "a refused stream is retried transparently": [["refuse", "ok"], {
    saw: "OK",
    series: {
      "call.transparent_retries": "1",
      "subchannel.connection_attempts_succeeded": "1",
      "subchannel.open_connections": "1",
      ...WAITED_ONCE,
    },
    attempts: [[0, false], [0, true]],
  }],
  "a transparent retry between retries does not count as a retry": [
    ["trailersonly-unavailable", "refuse", "ok"],
    {
      saw: "OK",
      series: {
        "call.retries": "1",
        "call.transparent_retries": "1",
        "subchannel.connection_attempts_succeeded": "1",
        "subchannel.open_connections": "1",
        ...WAITED_ONCE,
      },
      attempts: [[0, false], [1, false], [1, true]],
    },
  ],
  "a call whose connection closes before the headers is retried on another connection": [[
    "close",
    "ok",
  ], {
    saw: "OK",
    series: {
      "call.retries": "1",
      "subchannel.connection_attempts_succeeded": "2",
      "subchannel.disconnections unknown": "1",
      "subchannel.open_connections": "1",
      ...WAITED_ONCE,
      "attempt.delay.duration connecting": "2",
    },
    attempts: [[0, false], [1, false]],
  }],
};

for (const [what, [plans, { saw, series, attempts }]] of Object.entries(CASES)) {
  test(what, async (t) => {
    const harness = new Harness(t);
    const spans = new SpanRecording();
    const port = await harness.raw(...plans);
    const client = harness.client(`127.0.0.1:${port}`, {
      options: { "grpc.service_config": RETRY_POLICY },
      plugin: {
        enableMetrics: ENABLED,
        optionalLabels: ["grpc.disconnect_error"],
        tracerProvider: spans.tracerProvider,
      },
    });
    assert.equal(await unary(client, { bytes: 12, waitForReady: true }), saw);
    await eventuallyEqual(() => seriesOf(harness), series);
    assert.deepEqual(
      spans.spans.filter(({ name }) => name.startsWith("Attempt."))
        .map(({ attributes }) => [
          attributes["previous-rpc-attempts"],
          attributes["transparent-retry"],
        ]),
      attempts,
    );
    harness.close();
  });
}

async function seriesOf(harness: Harness): Promise<Record<string, string>> {
  const series: Record<string, string> = {};
  for (
    const { descriptor: { name }, dataPoints } of await harness.clientRecording
      .metrics()
  ) {
    if (!ENABLED.some((enabled) => enabled === name)) continue;
    for (const { attributes, value } of dataPoints) {
      const label = attributes["grpc.disconnect_error"] ?? attributes["grpc.delay_type"];
      const short = name.replace(/^grpc\.(client\.)?/, "");
      series[label === undefined ? short : `${short} ${label}`] = typeof value === "number"
        ? `${value}`
        : `${short.includes("delay") ? value.count : value.sum}`;
    }
  }
  return series;
}
