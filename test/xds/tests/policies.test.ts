/** The load balancing policies of xDS clusters: weighted round robin and outlier detection. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { METRIC_NAMES } from "../../../plugin/metrics/definitions.ts";
import { BackEnd } from "../../support/back-ends.ts";
import { balancedClient, callUntil, metric } from "../../support/load-balancing.ts";
import { GRPC_JS_MINOR, ownXdsClient, startControlPlane } from "../fixture.ts";
import { cluster, endpoints, listener, routes, weightedRoundRobin } from "../resources.ts";

const WEIGHTS = "grpc.lb.wrr.endpoint_weights";
const FALLBACK = "grpc.lb.wrr.rr_fallback";
const ENFORCED = "grpc.lb.outlier_detection.ejections_enforced";
const UNENFORCED = "grpc.lb.outlier_detection.ejections_unenforced";
const NAMES = METRIC_NAMES.filter((name) => name.startsWith("grpc.lb."));

const skip = GRPC_JS_MINOR < 14 && "grpc-js has no weighted round robin before 1.14";

test("weights follow the reports of the back ends of each locality", { skip }, async (t) => {
  const [fast, slow, ...silent] = await BackEnd.startAll(t, 4) as [BackEnd, BackEnd];
  const settings = { blackout_period: "0s", weight_update_period: "0.1s" };
  const plane = await startControlPlane(t, [
    listener("echo"),
    routes("echo", { red: 100 }),
    cluster("red", weightedRoundRobin(settings)),
    endpoints("red", [
      { name: "eu/a/1", ports: [fast.port, slow.port] },
      { name: "us/b/2", ports: silent.map(({ port }) => port) },
    ]),
  ]);
  const optionalLabels = ["grpc.lb.locality", "grpc.lb.backend_service"];
  const client = balancedClient(
    t,
    "xds:///echo",
    { enableMetrics: NAMES, optionalLabels },
    ownXdsClient(plane),
  );
  const reporting = 'backend_service=red,locality={region="eu", zone="a", sub_zone="1"}';
  const quiet = 'backend_service=red,locality={region="us", zone="b", sub_zone="2"}';
  /** Waits until updates record weights with a sum for the back ends that report, and 0 for others. */
  const records = async (expected: number) => {
    let before = { count: 0, sum: 0 };
    await callUntil(client, async () => {
      const { [reporting]: value, [quiet]: other } = await metric(client.recording, WEIGHTS);
      assert.ok(typeof value === "object" && typeof other === "object");
      const updates = (value.count - before.count) / 2;
      const sum = value.sum - before.sum;
      before = value;
      assert.ok(updates > 0);
      assert.equal(sum / updates, expected);
      assert.equal(other.sum, 0);
    });
  };
  [fast.load, slow.load] = [{ qps: 1, utilization: 1 }, { qps: 1, utilization: 2 }];
  await records(1.5);
  [fast.load, slow.load] = [{ qps: 1, utilization: 2 }, { qps: 1, utilization: 4 }];
  await records(0.75);
  const fallbacks = await metric(client.recording, FALLBACK);
  await callUntil(client, async () => {
    const { [reporting]: used, [quiet]: unused } = await metric(client.recording, FALLBACK);
    assert.equal(used, fallbacks[reporting]);
    assert.ok(Number(unused) > Number(fallbacks[quiet]));
  });
});

test("a back end of a cluster is ejected once and returns, and one over the limit is not ejected", async (t) => {
  const backEnds = await BackEnd.startAll(t, 3);
  const [bad, spared] = backEnds as [BackEnd, BackEnd];
  const plane = await startControlPlane(t, [
    listener("echo"),
    routes("echo", { red: 100 }),
    cluster("red", {
      outlier_detection: {
        interval: "0.25s",
        base_ejection_time: "0.7s",
        max_ejection_percent: 10,
        failure_percentage_threshold: 50,
        enforcing_failure_percentage: 100,
        failure_percentage_minimum_hosts: 2,
        failure_percentage_request_volume: 2,
        enforcing_success_rate: 0,
      },
    }),
    endpoints("red", [{ name: "eu/a/1", ports: backEnds.map(({ port }) => port) }]),
  ]);
  const client = balancedClient(
    t,
    "xds:///echo",
    { enableMetrics: NAMES, optionalLabels: ["grpc.lb.backend_service"] },
    ownXdsClient(plane),
  );
  assert.deepEqual(await client.call(9), { hello: 9 });
  bad.isFailing = spared.isFailing = true;
  const enforced = { "backend_service=red,detection_method=failure_percentage": 1 };
  await callUntil(
    client,
    async () => {
      assert.deepEqual(await metric(client.recording, ENFORCED), enforced);
      assert.deepEqual(Object.keys(await metric(client.recording, UNENFORCED)), [
        "backend_service=red,detection_method=failure_percentage," +
        "unenforced_reason=max_ejection_overflow",
      ]);
    },
  );
  bad.isFailing = spared.isFailing = false;
  const callsUntilEjected = bad.calls;
  await callUntil(client, () => Promise.resolve(assert.ok(bad.calls > callsUntilEjected)));
  assert.deepEqual(await metric(client.recording, ENFORCED), enforced);
});
