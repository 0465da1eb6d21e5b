/** What the other tests rely on: the control plane and the back ends count what happens. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../support/eventually.ts";
import { BackEnd } from "../../support/back-ends.ts";
import { balancedClient } from "../../support/load-balancing.ts";
import { ownXdsClient, startControlPlane } from "../fixture.ts";
import {
  brokenCluster,
  CLUSTER,
  cluster,
  ENDPOINTS,
  endpoints,
  LISTENER,
  listener,
  ROUTES,
  routes,
} from "../resources.ts";

test("a control plane moves calls, and counts its resources and their refusals", async (t) => {
  const [red, blue] = await BackEnd.startAll(t, 2) as [BackEnd, BackEnd];
  const plane = await startControlPlane(t, [
    listener("echo"),
    routes("echo", { red: 100 }),
    cluster("red"),
    endpoints("red", [{ name: "eu/a/1", ports: [red.port] }]),
  ]);
  const { call } = balancedClient(t, "xds:///echo", {}, ownXdsClient(plane));
  assert.deepEqual(await call(3), { hello: 3 });
  assert.deepEqual((await plane.counts()).resources, {
    [LISTENER]: 1,
    [ROUTES]: 1,
    [CLUSTER]: 1,
    [ENDPOINTS]: 1,
  });
  await plane.set(brokenCluster("red"));
  await eventually(async () => assert.equal((await plane.counts()).nacks, 1));
  await plane.set(cluster("red"), endpoints("red", [{ name: "us/b/2", ports: [blue.port] }]));
  await eventually(async () => {
    await call(1);
    assert.ok(blue.calls > 0);
  });
  const { acks, nacks, streams } = await plane.counts();
  assert.deepEqual({ acks, nacks, streams }, { acks: 6, nacks: 1, streams: 1 });
});
