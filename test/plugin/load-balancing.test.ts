/** Load balancing policies of grpc-js without xDS (gRFC A78, A91). */
import type { Client } from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { METRIC_NAMES } from "../../plugin/metrics/definitions.ts";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { BackEnd } from "../support/back-ends.ts";
import { unary } from "../support/echo.ts";
import { eventually } from "../support/eventually.ts";
import { balancedClient, callUntil, metric } from "../support/load-balancing.ts";
import type { BalancedClient } from "../support/load-balancing.ts";
import type { Owner } from "../support/script.ts";
import { Recording } from "../support/series.ts";

const WRR = METRIC_NAMES.filter((name) => name.startsWith("grpc.lb.wrr."));
const WEIGHTS = "grpc.lb.wrr.endpoint_weights";
const FALLBACK = "grpc.lb.wrr.rr_fallback";
const NOT_YET_USABLE = "grpc.lb.wrr.endpoint_weight_not_yet_usable";
const STALE = "grpc.lb.wrr.endpoint_weight_stale";
const EJECTIONS = METRIC_NAMES.filter((name) => name.startsWith("grpc.lb.outlier_detection."));
const [ENFORCED = "", UNENFORCED = ""] = EJECTIONS;

type Policy = Readonly<Record<string, object>>;

/** Creates a recorded client that balances calls between back ends. */
function connect(
  owner: Owner,
  backEnds: readonly BackEnd[],
  policy: Policy,
  plugin: GrpcOpenTelemetryOptions = {},
  recording?: Recording,
): BalancedClient {
  return balancedClient(
    owner,
    `ipv4:${backEnds.map(({ port }) => `127.0.0.1:${port}`).join()}`,
    { enableMetrics: [...WRR, ...EJECTIONS], ...plugin },
    { "grpc.service_config": JSON.stringify({ loadBalancingConfig: [policy] }) },
    recording,
  );
}

function weighted(settings: object = {}): Policy {
  return {
    weighted_round_robin: {
      blackout_period: "0s",
      weight_update_period: "0.1s",
      ...settings,
    },
  };
}

/** Ejects endpoints with more than half of their calls failing, by default. Checks four times a second. */
function outlierDetection(settings: object): Policy {
  return {
    outlier_detection: {
      interval: { seconds: 0, nanos: 250e6 },
      base_ejection_time: { seconds: 0, nanos: 700e6 },
      max_ejection_percent: 50,
      child_policy: [{ round_robin: {} }],
      ...settings,
    },
  };
}

const FAILURE_PERCENTAGE = {
  threshold: 50,
  enforcement_percentage: 100,
  minimum_hosts: 2,
  // A call that ends after its endpoint is ejected is no reason to eject it again.
  request_volume: 2,
};

/** Returns the value of a metric's only series, or 0. */
async function total(
  { recording }: Pick<BalancedClient, "recording">,
  name: string,
): Promise<number> {
  const values = Object.values(await metric(recording, name));
  assert.ok(values.length <= 1);
  const [value = 0] = values;
  return typeof value === "number" ? value : value.count;
}

async function startAll(owner: Owner, count: number): Promise<BackEnd[]> {
  const backEnds = await BackEnd.startAll(owner, count);
  for (const backEnd of backEnds) backEnd.load = { qps: 1, utilization: 1 };
  return backEnds;
}

test("each scheduler update of weighted round robin records the weight of each endpoint", async (t) => {
  const backEnds = await startAll(t, 2);
  const one = connect(t, backEnds, weighted());
  /** Waits until updates record weights with a sum, and nothing else. */
  const records = async (expected: number) => {
    let before = { count: 0, sum: 0 };
    await callUntil(one, async () => {
      const [value] = Object.values(await metric(one.recording, WEIGHTS));
      assert.ok(typeof value === "object");
      const updates = (value.count - before.count) / 2;
      const sum = value.sum - before.sum;
      before = value;
      assert.ok(updates > 0);
      assert.equal(sum / updates, expected);
    });
  };
  await records(2);
  for (const backEnd of backEnds) backEnd.load = { qps: 1, utilization: 16 };
  await records(0.125);
  const [fast, slow] = backEnds as [BackEnd, BackEnd];
  fast.load = { qps: 1, utilization: 2 };
  await records(0.5625);
  const before = [fast.calls, slow.calls] as const;
  await one.call(30);
  const [ofFast, ofSlow] = [fast.calls - before[0], slow.calls - before[1]];
  assert.ok(ofFast > 2 * ofSlow, `${ofFast} and ${ofSlow} calls`);
});

test("endpoints without reports are not yet usable, and calls fall back to round robin", async (t) => {
  const backEnds = await BackEnd.startAll(t, 2);
  const one = connect(t, backEnds, weighted());
  await callUntil(one, async () => assert.ok(await total(one, FALLBACK) >= 3));
  const series = (await one.recording.metrics()).flatMap(({ descriptor, dataPoints }) =>
    dataPoints.map(({ value }) => [descriptor.name, value] as const)
  );
  const {
    [WEIGHTS]: weights,
    [FALLBACK]: fallbacks,
    [NOT_YET_USABLE]: notYetUsable,
    [STALE]: stale,
  } = Object.fromEntries(series) as Record<string, unknown>;
  const { count, sum } = weights as { count: number; sum: number };
  assert.deepEqual([count, sum], [notYetUsable, 0]);
  assert.ok(count >= Number(fallbacks) && count <= 2 * Number(fallbacks));
  assert.equal(stale, undefined);

  // One usable weight is not enough.
  backEnds[0]!.load = { qps: 1, utilization: 1 };
  await callUntil(one, async () => {
    const [value] = Object.values(await metric(one.recording, WEIGHTS));
    assert.ok(typeof value === "object" && value.sum > 0);
  });
  const before = await total(one, FALLBACK);
  await callUntil(one, async () => assert.ok(await total(one, FALLBACK) >= before + 2));
});

test("a weight is not yet usable in the blackout period", async (t) => {
  const one = connect(t, await startAll(t, 2), weighted({ blackout_period: "60s" }));
  await callUntil(one, async () => assert.ok(await total(one, NOT_YET_USABLE) >= 5));
  const [weights] = Object.values(await metric(one.recording, WEIGHTS));
  assert.equal((weights as { sum: number }).sum, 0);
  assert.equal(await total(one, STALE), 0);
});

test("weights without new reports become stale", async (t) => {
  const backEnds = await startAll(t, 2);
  const one = connect(t, backEnds, weighted({ weight_expiration_period: "0.3s" }));
  await one.call(4);
  await eventually(async () => assert.ok(await total(one, STALE) >= 4));
  const fallbacks = await total(one, FALLBACK);
  await eventually(async () => assert.ok(await total(one, FALLBACK) > fallbacks));
});

test("without xDS, weighted round robin has empty labels", async (t) => {
  const one = connect(t, await startAll(t, 2), weighted(), {
    optionalLabels: ["grpc.lb.locality", "grpc.lb.backend_service"],
  });
  await callUntil(one, async () => {
    assert.deepEqual(Object.keys(await metric(one.recording, WEIGHTS)), [
      "backend_service=,locality=",
    ]);
  });
});

test("plugins of one meter provider record a load balancing policy once", async (t) => {
  const one = connect(t, await BackEnd.startAll(t, 2), weighted());
  const reference = new Recording();
  for (const { meterProvider } of [one.recording, reference]) {
    new GrpcOpenTelemetry({ meterProvider, enableMetrics: WRR })
      .instrumentChannel(one.client.getChannel());
  }
  await callUntil(one, async () => {
    const expected = await total({ recording: reference }, FALLBACK);
    assert.ok(expected >= 5);
    // An update may come in between.
    assert.ok(await total(one, FALLBACK) <= expected + 2);
  });
});

test("a load balancing policy that exists is recorded from then on", async (t) => {
  const one = connect(t, await startAll(t, 2), weighted(), { enableMetrics: [] });
  await one.call(2);
  new GrpcOpenTelemetry({ meterProvider: one.recording.meterProvider, enableMetrics: WRR })
    .instrumentChannel(one.client.getChannel());
  await callUntil(one, async () => assert.ok(await total(one, WEIGHTS) >= 2));
});

test("a back end that fails is ejected once, and returns", async (t) => {
  const backEnds = await BackEnd.startAll(t, 3);
  const [bad] = backEnds as [BackEnd];
  const one = connect(
    t,
    backEnds,
    outlierDetection({
      failure_percentage_ejection: FAILURE_PERCENTAGE,
    }),
  );
  assert.deepEqual(await one.call(9), { hello: 9 });
  bad.isFailing = true;
  await callUntil(one, async () => assert.equal(await total(one, ENFORCED), 1));
  bad.isFailing = false;
  const callsUntilEjected = bad.calls;
  await callUntil(one, () => Promise.resolve(assert.ok(bad.calls > callsUntilEjected)));
  assert.deepEqual(await metric(one.recording, ENFORCED), {
    "detection_method=failure_percentage": 1,
  });
  assert.deepEqual(await metric(one.recording, UNENFORCED), {});
});

test("outliers over the limit and those that chance spares are not ejected", async (t) => {
  const backEnds = await BackEnd.startAll(t, 3);
  const [one, two] = backEnds as [BackEnd, BackEnd];
  one.isFailing = two.isFailing = true;
  const limited = connect(
    t,
    backEnds,
    outlierDetection({
      base_ejection_time: { seconds: 60, nanos: 0 },
      max_ejection_percent: 10,
      failure_percentage_ejection: FAILURE_PERCENTAGE,
    }),
  );
  const lucky = connect(
    t,
    backEnds,
    outlierDetection({
      failure_percentage_ejection: { ...FAILURE_PERCENTAGE, enforcement_percentage: 0 },
    }),
  );
  await callUntil(limited, async () => assert.ok(await total(limited, UNENFORCED) >= 2));
  await callUntil(lucky, async () => assert.ok(await total(lucky, UNENFORCED) >= 2));
  assert.deepEqual(await metric(limited.recording, ENFORCED), {
    "detection_method=failure_percentage": 1,
  });
  assert.deepEqual(await metric(lucky.recording, ENFORCED), {});
  const reasons = async ({ recording }: BalancedClient) =>
    Object.keys(await metric(recording, UNENFORCED));
  assert.deepEqual(await reasons(limited), [
    "detection_method=failure_percentage,unenforced_reason=max_ejection_overflow",
  ]);
  assert.deepEqual(await reasons(lucky), [
    "detection_method=failure_percentage,unenforced_reason=enforcement_percentage",
  ]);
});

test("a success rate far below the average is an outlier", async (t) => {
  const backEnds = await BackEnd.startAll(t, 3);
  backEnds[0]!.isFailing = true;
  const config = {
    stdev_factor: 1000,
    enforcement_percentage: 100,
    minimum_hosts: 3,
    request_volume: 2,
  };
  const settings = { base_ejection_time: { seconds: 60, nanos: 0 } };
  const enforcing = connect(
    t,
    backEnds,
    outlierDetection({
      ...settings,
      success_rate_ejection: config,
    }),
  );
  const lucky = connect(
    t,
    backEnds,
    outlierDetection({
      ...settings,
      success_rate_ejection: { ...config, enforcement_percentage: 0 },
    }),
  );
  await callUntil(enforcing, async () => {
    assert.deepEqual(await metric(enforcing.recording, ENFORCED), {
      "detection_method=success_rate": 1,
    });
  });
  const start = performance.now();
  await callUntil(lucky, async () => assert.ok(await total(lucky, UNENFORCED) >= 4));
  const checks = (performance.now() - start) / 250 + 1;
  assert.ok(await total(lucky, UNENFORCED) <= checks, "one back end is an outlier");
  assert.deepEqual(Object.keys(await metric(lucky.recording, UNENFORCED)), [
    "detection_method=success_rate,unenforced_reason=enforcement_percentage",
  ]);
});

test("without xDS, outlier detection has an empty label", async (t) => {
  const backEnds = await BackEnd.startAll(t, 2);
  backEnds[0]!.isFailing = true;
  const one = connect(
    t,
    backEnds,
    outlierDetection({ failure_percentage_ejection: FAILURE_PERCENTAGE }),
    { optionalLabels: ["grpc.lb.backend_service"] },
  );
  await callUntil(one, async () => {
    assert.deepEqual(Object.keys(await metric(one.recording, ENFORCED)), [
      "backend_service=,detection_method=failure_percentage",
    ]);
  });
});

test("load balancing metrics are off by default", async (t) => {
  const backEnds = await BackEnd.startAll(t, 2);
  backEnds[0]!.isFailing = true;
  const policy = outlierDetection({ failure_percentage_ejection: FAILURE_PERCENTAGE });
  const one = connect(t, backEnds, policy, { enableMetrics: [] });
  await one.call(20);
  const names = (await one.recording.metrics()).map(({ descriptor }) => descriptor.name);
  assert.deepEqual(names.filter((name) => name.startsWith("grpc.lb.")), []);
  const on = connect(t, backEnds, policy, { enableMetrics: [ENFORCED] });
  await on.call(1);
  const hooks = [one, on].map(({ client }) => accessorsOf(client));
  assert.equal(hooks[0]!.length, 0, "policies are not hooked");
  assert.notEqual(hooks[1]!.length, 0);
});

/** Returns the properties by which a client's tree of policies is watched. */
function accessorsOf(client: Client): string[] {
  const { internalChannel } = client.getChannel() as unknown as {
    internalChannel: { resolvingLoadBalancer: { childLoadBalancer: object } };
  };
  const { resolvingLoadBalancer } = internalChannel;
  return [resolvingLoadBalancer, resolvingLoadBalancer.childLoadBalancer].flatMap((policy) =>
    Object.entries(Object.getOwnPropertyDescriptors(policy))
      .filter(([, { get }]) => get !== undefined)
      .map(([name]) => name)
  );
}

test("policies and xDS clients of another shape are left alone, with one warning each", async (t) => {
  const warnings: string[] = [];
  const collect = ({ message }: Error) => warnings.push(message.split(":")[0]!);
  process.on("warning", collect);
  t.after(() => process.off("warning", collect));
  const [backEnd] = await BackEnd.startAll(t, 1) as [BackEnd];
  const { recording, client } = connect(t, [backEnd], { round_robin: {} }, { enableMetrics: [] });
  const plugin = {
    meterProvider: recording.meterProvider,
    enableMetrics: METRIC_NAMES,
    optionalLabels: ["grpc.lb.locality"],
  };
  // Hidden only while the plugins look at them.
  const { internalChannel } = client.getChannel() as unknown as {
    internalChannel: Record<string, unknown>;
  };
  const { resolvingLoadBalancer } = internalChannel;
  for (let plugins = 0; plugins < 2; plugins++) {
    internalChannel["resolvingLoadBalancer"] = { innerResolver: { xdsClient: {} } };
    new GrpcOpenTelemetry(plugin).instrumentChannel(client.getChannel());
    internalChannel["resolvingLoadBalancer"] = {
      childLoadBalancer: {
        currentChild: { getTypeName: () => "weighted_round_robin" },
        pendingChild: { getTypeName: () => "outlier_detection" },
      },
    };
    new GrpcOpenTelemetry(plugin).instrumentChannel(client.getChannel());
  }
  internalChannel["resolvingLoadBalancer"] = resolvingLoadBalancer;
  assert.equal(await unary(client, "hello"), "hello");
  await eventually(() =>
    assert.deepEqual(warnings.sort(), [
      "gRPC load balancing policies are not recorded",
      "gRPC metrics of outlier detection are off",
      "gRPC metrics of weighted round robin are off",
      "gRPC metrics of xDS clients are incomplete",
    ])
  );
});
