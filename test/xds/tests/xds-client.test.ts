/** The xDS client: its control planes and its resources (gRFC A78). */
import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { METRIC_NAMES } from "../../../plugin/metrics/definitions.ts";
import { GrpcOpenTelemetry } from "../../../plugin/mod.ts";
import { BackEnd } from "../../support/back-ends.ts";
import { listen } from "../../support/echo.ts";
import { eventually, eventuallyEqual } from "../../support/eventually.ts";
import { balancedClient, metric } from "../../support/load-balancing.ts";
import type { BalancedClient, Value } from "../../support/load-balancing.ts";
import { freePort } from "../../support/ports.ts";
import type { Owner } from "../../support/script.ts";
import { Recording } from "../../support/series.ts";
import { bootstrap } from "../control-plane.ts";
import type { ControlPlane } from "../control-plane.ts";
import { GRPC_JS_MINOR, ownXdsClient, startControlPlane, xds } from "../fixture.ts";
import {
  brokenCluster,
  CLUSTER,
  cluster,
  endpoints,
  LISTENER,
  listener,
  routes,
} from "../resources.ts";
import type { Resource } from "../resources.ts";

const NAMES = METRIC_NAMES.filter((name) => name.startsWith("grpc.xds_client."));
const CONNECTED = "grpc.xds_client.connected";
const SERVER_FAILURE = "grpc.xds_client.server_failure";
const VALID = "grpc.xds_client.resource_updates_valid";
const INVALID = "grpc.xds_client.resource_updates_invalid";
const RESOURCES = "grpc.xds_client.resources";

/** Starts a back end, a control plane that sends all calls there, and a recorded client. */
async function start(
  owner: Owner,
  changes: (port: number) => readonly Resource[] = () => [],
): Promise<{ plane: ControlPlane; client: BalancedClient }> {
  const { port } = await BackEnd.start(owner);
  const plane = await startControlPlane(owner, [
    listener("echo"),
    routes("echo", { red: 100 }),
    cluster("red"),
    endpoints("red", [{ name: "eu/a/1", ports: [port] }]),
    ...changes(port),
  ]);
  const client = balancedClient(
    owner,
    "xds:///echo",
    { enableMetrics: NAMES },
    ownXdsClient(plane),
  );
  return { plane, client };
}

/** Returns the values by the label `grpc.xds.resource_type`. */
async function byType({ recording }: BalancedClient, name: string): Promise<Record<string, Value>> {
  return Object.fromEntries(
    Object.entries(await metric(recording, name)).map(([labels, value]) => [
      /resource_type=([^,]+)/.exec(labels)?.[1] ?? "",
      value,
    ]),
  );
}

/** Returns the numbers of resources that are not 0, by state and type. */
async function resources({ recording }: BalancedClient): Promise<Record<string, Value>> {
  return Object.fromEntries(
    Object.entries(await metric(recording, RESOURCES)).filter(([, value]) => value !== 0)
      .map(([labels, value]) => {
        const [, authority, state, type] =
          /^authority=(.*),cache_state=(.*),resource_type=envoy\.config\.\w+\.v3\.(.*)$/.exec(
            labels,
          ) ?? [];
        return [`${authority === "#old" ? "" : `${authority} `}${state} ${type}`, value];
      }),
  );
}

const ACKED = {
  "acked Listener": 1,
  "acked RouteConfiguration": 1,
  "acked Cluster": 1,
  "acked ClusterLoadAssignment": 1,
};

test("valid and invalid resources are counted as the control plane knows them", async (t) => {
  const { plane, client } = await start(t, (port) => [
    routes("echo", { red: 50, blue: 50 }),
    cluster("blue"),
    endpoints("blue", [{ name: "us/b/2", ports: [port] }]),
  ]);
  assert.deepEqual(await client.call(3), { hello: 3 });
  assert.deepEqual(await byType(client, VALID), (await plane.counts()).resources);
  assert.deepEqual(await byType(client, INVALID), {});

  // A response has all clusters. One of the two stays valid.
  const before = (await plane.counts()).resources;
  await plane.set(brokenCluster("red"));
  await eventually(async () => assert.equal((await plane.counts()).nacks, 1));
  await eventuallyEqual(() => byType(client, INVALID), { [CLUSTER]: 1 });
  const refused = (await plane.counts()).resources[CLUSTER]! - before[CLUSTER]!;
  assert.equal(refused, 2);
  assert.deepEqual(await byType(client, VALID), { ...before, [CLUSTER]: before[CLUSTER]! + 1 });

  await plane.set(cluster("red"));
  await eventually(async () => {
    const { resources, nacks } = await plane.counts();
    assert.equal(nacks, 1);
    const [valid, invalid] = [await byType(client, VALID), await byType(client, INVALID)];
    assert.ok(Number(valid[CLUSTER]) > before[CLUSTER]! + 1);
    assert.deepEqual({ ...valid, [CLUSTER]: Number(valid[CLUSTER]) + 1 }, resources);
    assert.deepEqual(invalid, { [CLUSTER]: nacks });
  });
  assert.deepEqual(await client.call(3), { hello: 3 });
});

test("a resource is refused, mended, removed and served again", async (t) => {
  const { plane, client } = await start(t);
  await client.call(1);
  assert.deepEqual(await resources(client), ACKED);
  const { "acked Cluster": _, ...others } = ACKED;
  await plane.set(brokenCluster("red"));
  await eventuallyEqual(() => resources(client), {
    ...others,
    "nacked_but_cached Cluster": 1,
  });
  await plane.set(cluster("red"));
  await eventuallyEqual(() => resources(client), ACKED);
  await plane.remove(cluster("red"));
  await eventually(async () => {
    assert.equal((await resources(client))["does_not_exist Cluster"], 1);
  });
  await plane.set(cluster("red"));
  await eventually(async () => assert.equal((await resources(client))["acked Cluster"], 1));
});

test("a resource that was never valid is nacked, and one that nobody serves is requested", async (t) => {
  const { client } = await start(t, () => [
    brokenCluster("red"),
    routes("echo", { red: 50, missing: 50 }),
  ]);
  client.call(1);
  await eventuallyEqual(() => resources(client), {
    "acked Listener": 1,
    "acked RouteConfiguration": 1,
    "nacked Cluster": 1,
    "requested Cluster": 1,
  });
});

test("a name that is a URI has its authority", async (t) => {
  const { port } = await BackEnd.start(t);
  const name = `xdstp://traffic/${LISTENER}/echo`;
  const plane = await startControlPlane(t, [
    { ...listener("echo"), name },
    routes("echo", { red: 100 }),
    cluster("red"),
    endpoints("red", [{ name: "eu/a/1", ports: [port] }]),
  ]);
  const client = balancedClient(
    t,
    "xds://traffic/echo",
    { enableMetrics: NAMES },
    ownXdsClient({ bootstrap: bootstrap(plane.port, "traffic") }),
  );
  assert.deepEqual(await client.call(1), { hello: 1 });
  const { "acked Listener": _, ...others } = ACKED;
  assert.deepEqual(await resources(client), { "traffic acked Listener": 1, ...others });
  assert.deepEqual(await byType(client, VALID), (await plane.counts()).resources);
});

test("the control plane dies, which is one failure, and returns", async (t) => {
  const { plane, client } = await start(t);
  const { recording } = client;
  const server = `server=localhost:${plane.port}`;
  await client.call(1);
  assert.deepEqual(await metric(recording, CONNECTED), { [server]: 1 });
  assert.deepEqual(await metric(recording, SERVER_FAILURE), {});
  await plane.stop();
  await eventuallyEqual(() => metric(recording, CONNECTED), { [server]: 0 }, 20_000);
  assert.deepEqual(await client.call(3), { hello: 3 });
  await plane.listen();
  await eventuallyEqual(() => metric(recording, CONNECTED), { [server]: 1 }, 20_000);
  assert.deepEqual(await metric(recording, SERVER_FAILURE), { [server]: 1 });
  assert.equal((await plane.counts()).streams, 2);
});

test("a control plane that cannot be reached is a failure, and one that ends its streams is one too", async (t) => {
  const streams = new Recording();
  // It has no service of a control plane.
  const server = new GrpcOpenTelemetry({ meterProvider: streams.meterProvider })
    .instrumentServer(new grpc.Server());
  t.after(() => server.forceShutdown());
  const clients: BalancedClient[] = [];
  for (const port of [await freePort(), await listen(server)]) {
    const client = balancedClient(
      t,
      "xds:///echo",
      { enableMetrics: NAMES },
      ownXdsClient({ bootstrap: bootstrap(port) }),
    );
    clients.push(client);
    client.call(1);
    const label = `server=localhost:${port}`;
    await eventuallyEqual(() => metric(client.recording, CONNECTED), { [label]: 0 });
    assert.deepEqual(await metric(client.recording, SERVER_FAILURE), { [label]: 1 });
  }
  // A server that was unhealthy before its next stream is not counted again.
  await eventually(async () => {
    const [started] = Object.values(await metric(streams, "grpc.server.call.started"));
    assert.ok(Number(started) >= 2);
  }, 20_000);
  for (const { recording } of clients) {
    assert.deepEqual(Object.values(await metric(recording, SERVER_FAILURE)), [1]);
  }
});

test("the client that channels share has the target of the first one", async (t) => {
  const { port } = await BackEnd.start(t);
  const plane = await startControlPlane(t, [
    ...["one", "two"].flatMap((name) => [listener(name), routes(name, { red: 100 })]),
    cluster("red"),
    endpoints("red", [{ name: "eu/a/1", ports: [port] }]),
  ]);
  process.env["GRPC_XDS_BOOTSTRAP_CONFIG"] = plane.bootstrap;
  const recording = new Recording();
  for (const name of ["one", "two"]) {
    const { call } = balancedClient(t, `xds:///${name}`, { enableMetrics: NAMES }, {}, recording);
    assert.deepEqual(await call(1), { hello: 1 });
  }
  for (const { descriptor: { name }, dataPoints } of await recording.metrics()) {
    if (!NAMES.includes(name)) continue;
    for (const { attributes } of dataPoints) {
      assert.equal(attributes["grpc.target"], "xds:///one", name);
    }
  }
  const client = { recording } as BalancedClient;
  assert.deepEqual(await resources(client), {
    ...ACKED,
    "acked Listener": 2,
    "acked RouteConfiguration": 2,
  });
  assert.deepEqual(await byType(client, VALID), (await plane.counts()).resources);
});

const skip = GRPC_JS_MINOR < 13 && "grpc-js-xds has no server before 1.13";

test("the client of a server has the target #server", { skip }, async (t) => {
  const plane = await startControlPlane(t, []);
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({
    meterProvider: recording.meterProvider,
    enableMetrics: NAMES,
  });
  const server = otel.instrumentServer(
    new xds.XdsServer(ownXdsClient({
      bootstrap: JSON.stringify({
        ...JSON.parse(plane.bootstrap),
        server_listener_resource_name_template: "server/%s",
      }),
    })),
  );
  t.after(() => server.forceShutdown());
  server.bindAsync(
    `127.0.0.1:${await freePort()}`,
    grpc.ServerCredentials.createInsecure(),
    () => {},
  );
  await eventually(async () => {
    const metrics = await recording.metrics();
    const found = metrics.find(({ descriptor }) => descriptor.name === CONNECTED);
    assert.deepEqual(found?.dataPoints.map(({ attributes, value }) => [attributes, value]), [
      [{ "grpc.target": "#server", "grpc.xds.server": `localhost:${plane.port}` }, 1],
    ]);
  });
  assert.deepEqual(await resources({ recording } as BalancedClient), { "requested Listener": 1 });
});
