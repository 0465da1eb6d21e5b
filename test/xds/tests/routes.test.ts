/** Where attempts go with xDS: locality, backend service, and the priority that they wait for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { METRIC_NAMES } from "../../../plugin/metrics/definitions.ts";
import { GrpcOpenTelemetry } from "../../../plugin/mod.ts";
import { eventually, eventuallyEqual } from "../../support/eventually.ts";
import { freePort } from "../../support/ports.ts";
import { BackEnd } from "../../support/back-ends.ts";
import { balancedClient, metric } from "../../support/load-balancing.ts";
import type { BalancedClient } from "../../support/load-balancing.ts";
import { GRPC_JS_MINOR, ownXdsClient, startControlPlane } from "../fixture.ts";

import {
  aggregateCluster,
  cluster,
  endpoints,
  listener,
  routes,
  weightedRoundRobin,
} from "../resources.ts";

const LABELS = ["grpc.lb.locality", "grpc.lb.backend_service"];
const DELAY = "grpc.client.attempt.delay.duration";

/** Returns the backend service, the locality, and the status if it is not OK, of a series. */
function route(labels: string): string {
  return labels.replace(
    /backend_service=(.*),locality=(.*?)(?:,status=(\w+))?$/,
    "$1 $2 $3",
  )
    .replace(/\{region="(.*)", zone="(.*)", sub_zone="(.*)"\}/, "$1/$2/$3")
    .replace(/ (OK)?$/, "");
}

/** Returns the attempts that ended, by backend service and locality, and by status if it is not OK. */
async function ended(
  { recording }: BalancedClient,
  name = "grpc.client.attempt.duration",
): Promise<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(await metric(recording, name)).map(([labels, value]) => [
      route(labels),
      typeof value === "number" ? value : value.count,
    ]),
  );
}

/** Returns how often attempts waited, by type. Up to 1.10, a cluster is unknown at first. */
async function delays({ recording }: BalancedClient): Promise<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(await metric(recording, DELAY)).map(([labels, value]) => [
      labels.replace("delay_type=", ""),
      typeof value === "number" ? value : value.count,
    ]),
  );
}

test("each attempt has its cluster and its locality", async (t) => {
  const [near, far, other] = await BackEnd.startAll(t, 3) as [BackEnd, BackEnd, BackEnd];
  const plane = await startControlPlane(t, [
    listener("echo"),
    routes("echo", { red: 50, blue: 50 }),
    cluster("red"),
    endpoints("red", [
      { name: "eu/a/1", ports: [near.port] },
      { name: "us/b/2", ports: [far.port] },
    ]),
    cluster("blue"),
    endpoints("blue", [{ name: "eu/a/1", ports: [other.port] }]),
  ]);
  const client = balancedClient(t, "xds:///echo", { optionalLabels: LABELS }, ownXdsClient(plane));
  await eventually(async () => {
    await client.call(10);
    assert.ok([near, far, other].every(({ calls }) => calls > 0));
  });
  const expected = {
    "red eu/a/1": near.calls,
    "red us/b/2": far.calls,
    "blue eu/a/1": other.calls,
  };
  for (const name of METRIC_NAMES.filter((name) => /attempt\.(duration|sent|rcvd)/.test(name))) {
    assert.deepEqual(await ended(client, name), expected, name);
  }
  near.isFailing = true;
  await eventually(async () => {
    await client.call(10);
    assert.ok((await ended(client))["red eu/a/1 INTERNAL"]! > 0);
  });
});

test("priorities fail over, and what attempts wait for names the priority", async (t) => {
  const [spare] = await BackEnd.startAll(t, 1) as [BackEnd];
  const plane = await startControlPlane(t, [
    listener("echo"),
    routes("echo", { red: 100 }),
    cluster("red"),
    endpoints("red", [
      { name: "eu/a/1", ports: [await freePort()] },
      { name: "us/b/2", ports: [spare.port], priority: 1 },
    ]),
  ]);
  const client = balancedClient(
    t,
    "xds:///echo",
    { optionalLabels: LABELS, enableMetrics: [DELAY] },
    ownXdsClient(plane),
  );
  assert.deepEqual(await client.call(3), { hello: 3 });
  assert.deepEqual(await ended(client), { "red us/b/2": spare.calls });
  const { connecting: _, ...byPriority } = await delays(client);
  assert.deepEqual(byPriority, { "p0:connecting": 1, "p1:connecting": 1 });
});

test("an attempt of an aggregate cluster has the cluster that it reaches", async (t) => {
  const [red, blue] = await BackEnd.startAll(t, 2) as [BackEnd, BackEnd];
  const plane = await startControlPlane(t, [
    listener("echo"),
    routes("echo", { both: 100 }),
    aggregateCluster("both", ["red", "blue"]),
    cluster("red"),
    endpoints("red", [{ name: "eu/a/1", ports: [red.port] }]),
    cluster("blue"),
    endpoints("blue", [{ name: "us/b/2", ports: [blue.port] }]),
  ]);
  const client = balancedClient(
    t,
    "xds:///echo",
    { optionalLabels: LABELS, enableMetrics: [DELAY] },
    ownXdsClient(plane),
  );
  assert.deepEqual(await client.call(3), { hello: 3 });
  red.stop();
  await eventually(async () => {
    await client.call(3);
    assert.ok(blue.calls > 0);
  });
  const { "red eu/a/1 UNAVAILABLE": _, ...succeeded } = await ended(client);
  assert.deepEqual(succeeded, { "red eu/a/1": red.calls, "blue us/b/2": blue.calls });
  const { connecting: __, ...byPriority } = await delays(client);
  // From 1.13 on, the priorities of each cluster are below those of the aggregate cluster.
  const types = GRPC_JS_MINOR < 13
    ? ["p0:connecting", "p1:connecting"]
    : ["p0:p0:connecting", "p1:p0:connecting"];
  assert.deepEqual(Object.keys(byPriority), types);
});

test("an attempt that gets no back end has its cluster", async (t) => {
  const plane = await startControlPlane(t, [
    listener("echo"),
    routes("echo", { red: 100 }),
    cluster("red"),
    endpoints("red", [{ name: "eu/a/1", ports: [await freePort()] }]),
  ]);
  const client = balancedClient(
    t,
    "xds:///echo",
    { optionalLabels: LABELS },
    ownXdsClient(plane),
  );
  assert.deepEqual(await client.call(2), { UNAVAILABLE: 2 });
  assert.deepEqual(await ended(client), { "red  UNAVAILABLE": 2 });
});

const CONNECTIONS = METRIC_NAMES.filter((name) => name.startsWith("grpc.subchannel."));

test("connections have the cluster and the locality that asked for them", async (t) => {
  const [near, far] = await BackEnd.startAll(t, 2) as [BackEnd, BackEnd];
  const plane = await startControlPlane(t, [
    listener("echo"),
    routes("echo", { red: 50, blue: 50 }),
    cluster("red"),
    endpoints("red", [
      { name: "eu/a/1", ports: [near.port] },
      { name: "us/b/2", ports: [await freePort()] },
    ]),
    cluster("blue"),
    endpoints("blue", [{ name: "us/b/2", ports: [far.port] }]),
  ]);
  const plugin = { optionalLabels: LABELS, enableMetrics: CONNECTIONS };
  const client = balancedClient(t, "xds:///echo", plugin, ownXdsClient(plane));
  const late = balancedClient(t, "xds:///echo", {}, ownXdsClient(plane));
  const open = { "red eu/a/1": 1, "blue us/b/2": 1 };
  for (const { call } of [client, late]) {
    await eventually(async () => {
      const before = [near.calls, far.calls] as const;
      await call(10);
      assert.ok(near.calls > before[0] && far.calls > before[1]);
    });
  }
  const { meterProvider } = late.recording;
  new GrpcOpenTelemetry({ meterProvider, ...plugin }).instrumentChannel(late.client.getChannel());
  for (const one of [client, late]) {
    const connections = async () => {
      const series = Object.entries(
        await metric(one.recording, "grpc.subchannel.open_connections"),
      );
      return Object.fromEntries(series.map(([labels, count]) => [route(labels), count]));
    };
    await eventuallyEqual(connections, open);
  }
  const failed = await metric(client.recording, "grpc.subchannel.connection_attempts_failed");
  assert.deepEqual(Object.keys(failed).map(route), ["red us/b/2"]);
});

const skip = GRPC_JS_MINOR < 14 && "all policies before 1.14 connect again after an update";

test("an address that a second cluster connects to has both clusters", { skip }, async (t) => {
  const { port } = await BackEnd.start(t);
  const plane = await startControlPlane(t, [
    listener("echo"),
    routes("echo", { red: 100 }),
    cluster("red", weightedRoundRobin({})),
    endpoints("red", [{ name: "eu/a/1", ports: [port] }]),
  ]);
  const { recording, call } = balancedClient(
    t,
    "xds:///echo",
    { optionalLabels: LABELS, enableMetrics: CONNECTIONS },
    ownXdsClient(plane),
  );
  await call(1);
  await plane.set(
    routes("echo", { red: 50, blue: 50 }),
    cluster("blue"),
    endpoints("blue", [{ name: "us/b/2", ports: [port] }]),
  );
  await eventually(async () => {
    await call(5);
    const open = await metric(recording, "grpc.subchannel.open_connections");
    assert.deepEqual(Object.keys(open).map(route), ["red eu/a/1", "blue us/b/2"]);
  });
});
