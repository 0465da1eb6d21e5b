/** Many updates of the configuration, each of which makes grpc-js connect anew. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { METRIC_NAMES } from "../../../plugin/metrics/definitions.ts";
import type { GrpcOpenTelemetryOptions } from "../../../plugin/mod.ts";
import { BackEnd } from "../../support/back-ends.ts";
import { eventually } from "../../support/eventually.ts";
import { heapInUse, megabytes } from "../../support/heap.ts";
import { balancedClient, metric } from "../../support/load-balancing.ts";
import type { Owner } from "../../support/script.ts";
import type { Recording } from "../../support/series.ts";
import { GRPC_JS_MINOR, ownXdsClient, startControlPlane } from "../fixture.ts";
import { cluster, endpoints, listener, routes } from "../resources.ts";

const FIRST = 10;
const UPDATES = 100;
/** How much more the heap may grow in the updates if they are recorded. */
const MOST_BYTES = 2e6;

interface Updates {
  /** How much the heap grew, in bytes. Most of it are the connections. */
  readonly growth: number;
  readonly recording: Recording;
  /** The calls that the back ends answered. */
  readonly calls: number;
  /** The resources that the control plane sent. */
  readonly resources: number;
}

/** Updates a cluster of two back ends, and makes a call after each update. */
async function update(owner: Owner, plugin: GrpcOpenTelemetryOptions): Promise<Updates> {
  const backEnds = await BackEnd.startAll(owner, 2);
  const ports = backEnds.map(({ port }) => port);
  const weighted = (weight: number) => endpoints("red", [{ name: "eu/a/1", ports, weight }]);
  const plane = await startControlPlane(owner, [
    listener("echo"),
    routes("echo", { red: 100 }),
    cluster("red"),
    weighted(1),
  ]);
  const { recording, call } = balancedClient(owner, "xds:///echo", plugin, ownXdsClient(plane));
  assert.deepEqual(await call(2), { hello: 2 });
  let { acks } = await plane.counts();
  let before = 0;
  for (let i = 0; i < FIRST + UPDATES; i++) {
    if (i === FIRST) before = await heapInUse();
    await plane.set(weighted(2 + i % 2));
    acks++;
    await eventually(async () => assert.equal((await plane.counts()).acks, acks));
    assert.deepEqual(await call(1), { hello: 1 });
  }
  const growth = await heapInUse() - before;
  const { resources } = await plane.counts();
  return {
    growth,
    recording,
    calls: backEnds.reduce((sum, { calls }) => sum + calls, 0),
    resources: Object.values(resources).reduce((sum, count) => sum + count),
  };
}

/** Returns the sum of a metric's series. */
async function total(recording: Recording, name: string): Promise<number> {
  return Object.values(await metric(recording, name))
    .reduce<number>((sum, value) => sum + (typeof value === "number" ? value : value.count), 0);
}

const skip = GRPC_JS_MINOR < 14 && "memory is measured with the newest version only";

test("100 updates are recorded exactly, and nothing of them is kept", { skip }, async (t) => {
  const plain = await update(t, {});
  const recorded = await update(t, {
    enableMetrics: METRIC_NAMES,
    optionalLabels: ["grpc.lb.locality", "grpc.lb.backend_service"],
  });
  const more = recorded.growth - plain.growth;
  t.diagnostic(`${megabytes(plain.growth)}, and ${megabytes(more)} more if recorded`);
  assert.ok(more < MOST_BYTES, `${megabytes(more)} of heap`);

  const { recording, calls, resources } = recorded;
  assert.deepEqual(
    Object.keys(await metric(recording, "grpc.client.attempt.duration")),
    ['backend_service=red,locality={region="eu", zone="a", sub_zone="1"},status=OK'],
  );
  assert.equal(await total(recording, "grpc.client.attempt.duration"), calls);
  assert.equal(await total(recording, "grpc.xds_client.resource_updates_valid"), resources);
  assert.equal(await total(recording, "grpc.xds_client.resources"), 4);
  // grpc-js may close connections that it no longer uses at any time.
  await eventually(async () => {
    const succeeded = await total(recording, "grpc.subchannel.connection_attempts_succeeded");
    const disconnected = await total(recording, "grpc.subchannel.disconnections");
    assert.equal(
      await total(recording, "grpc.subchannel.open_connections"),
      succeeded - disconnected,
    );
    assert.ok(succeeded >= UPDATES);
  });
});
