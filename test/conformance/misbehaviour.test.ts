/** What the metrics of gRFC A96 and A94 and the spans of A72 say of servers that break HTTP/2's rules. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { METRIC_NAMES } from "../../plugin/metrics/definitions.ts";
import { eventuallyEqual } from "../support/eventually.ts";
import { SpanRecording } from "../support/spans.ts";
import { unary } from "./calls.ts";
import { Stage } from "./harness.ts";

const ENABLED = METRIC_NAMES.filter((name) =>
  /^grpc\.(client\.call\.(retries|transparent|hedges)|subchannel)/.test(name)
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
  /** The series of gRFC A96 and A94, by the last parts of their names. */
  readonly series: Readonly<Record<string, string>>;
  /** Of each attempt how many were before it, and whether it is a transparent retry. */
  readonly attempts: readonly (readonly [previous: number, transparent: boolean])[];
}

const CASES: Readonly<Record<string, readonly [plans: string[], Outcome]>> = {
  "a stream that is refused is retried transparently": [["refuse", "ok"], {
    saw: "OK",
    series: {
      "call.transparent_retries": "1",
      "subchannel.connection_attempts_succeeded": "1",
      "subchannel.open_connections": "1",
    },
    attempts: [[0, false], [0, true]],
  }],
  "a transparent retry between retries is no retry": [
    ["trailersonly-unavailable", "refuse", "ok"],
    {
      saw: "OK",
      series: {
        "call.retries": "1",
        "call.transparent_retries": "1",
        "subchannel.connection_attempts_succeeded": "1",
        "subchannel.open_connections": "1",
      },
      attempts: [[0, false], [1, false], [1, true]],
    },
  ],
  "a call whose connection is closed before the headers is retried on another one": [[
    "close",
    "ok",
  ], {
    saw: "OK",
    series: {
      "call.retries": "1",
      "subchannel.connection_attempts_succeeded": "2",
      "subchannel.disconnections unknown": "1",
      "subchannel.open_connections": "1",
    },
    attempts: [[0, false], [1, false]],
  }],
};

for (
  const [what, [plans, { saw, series, attempts }]] of Object.entries(CASES)
) {
  test(what, async (t) => {
    const stage = new Stage(t);
    const spans = new SpanRecording();
    const port = await stage.raw(...plans);
    const client = stage.client(`127.0.0.1:${port}`, {
      options: { "grpc.service_config": RETRY_POLICY },
      plugin: {
        enableMetrics: ENABLED,
        optionalLabels: ["grpc.disconnect_error"],
        tracerProvider: spans.tracerProvider,
      },
    });
    assert.equal(await unary(client, { bytes: 12, waitForReady: true }), saw);
    await eventuallyEqual(() => seriesOf(stage), series);
    assert.deepEqual(
      spans.spans.filter(({ name }) => name.startsWith("Attempt."))
        .map(({ attributes }) => [
          attributes["previous-rpc-attempts"],
          attributes["transparent-retry"],
        ]),
      attempts,
    );
    stage.close();
  });
}

async function seriesOf(stage: Stage): Promise<Record<string, string>> {
  const series: Record<string, string> = {};
  for (
    const { descriptor: { name }, dataPoints } of await stage.clientRecording
      .metrics()
  ) {
    if (!ENABLED.some((enabled) => enabled === name)) continue;
    for (const { attributes, value } of dataPoints) {
      const reason = attributes["grpc.disconnect_error"];
      const short = name.replace(/^grpc\.(client\.)?/, "");
      series[reason === undefined ? short : `${short} ${reason}`] = typeof value === "number"
        ? `${value}`
        : `${value.sum}`;
    }
  }
  return series;
}
