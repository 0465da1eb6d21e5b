import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import type { HistogramValue, Metric } from "../support/series.ts";
import { TARGETS } from "../support/targets.ts";
import { options, PATIENCE_MS, withPair } from "./pair.ts";
import type { Language } from "./pair.ts";
import type { Peer } from "./peer.ts";

/** Properties for which grpc-go deviates from gRFC A94, with the specified values. */
const AS_SPECIFIED: Readonly<Record<string, Partial<Instrument>>> = {
  "grpc.subchannel.open_connections": { unit: "{connection}" },
};

test(
  "instruments have the names, units, descriptions, labels and bounds of grpc-go",
  options,
  async () => {
    const expected = await instruments("grpc-go");
    for (const [name, said] of Object.entries(AS_SPECIFIED)) {
      assert.notDeepEqual({ ...expected[name]!, ...said }, expected[name]);
      expected[name] = { ...expected[name]!, ...said };
    }
    assert.deepEqual(await instruments("grpc-js"), expected);
  },
);

interface Instrument {
  readonly unit: string;
  readonly description: string;
  readonly labels: readonly string[];
  /** The bucket bounds of a histogram. */
  readonly bounds?: readonly number[];
}

/** Records a successful call, the loss of the connection, and a failed call. */
async function instruments(language: Language): Promise<Record<string, Instrument>> {
  return await withPair([language, language], async (client, server) => {
    const call = {
      target: `localhost:${server.port}`,
      path: "/grpc.examples.echo.Echo/UnaryEcho",
      messages: ["hello"],
    };
    await client.call(call).result;
    const ofServer = await metricsOf(server, /^grpc\.server\./, 4);
    await server.stop();
    await metricsOf(client, /disconnections/, 1);
    await client.call(call).result;
    const ofClient = await metricsOf(client, /^grpc\.(client|subchannel)\./, 9);
    return Object.fromEntries([...ofServer, ...ofClient].map(toInstrument));
  });
}

/** Waits until a peer has `count` metrics of a kind. */
function metricsOf(peer: Peer, kind: RegExp, count: number): Promise<readonly Metric[]> {
  return eventually(async () => {
    const { metrics } = await peer.report();
    const found = metrics.filter(({ descriptor }) => kind.test(descriptor.name));
    assert.equal(found.length, count);
    return found;
  }, PATIENCE_MS);
}

function toInstrument({ descriptor, dataPoints }: Metric): [string, Instrument] {
  const { name, unit, description } = descriptor;
  const { attributes, value } = dataPoints[0]!;
  const labels = Object.keys(attributes).sort();
  const { buckets } = value as Partial<HistogramValue>;
  return [name, {
    unit,
    description,
    labels,
    ...(buckets !== undefined && { bounds: buckets.boundaries }),
  }];
}

/** Dialled strings whose label differs between the languages, with the reason. */
const OWN_TARGETS: Readonly<Record<string, string>> = {
  "xds:///svc": "the peer in Go registers no resolver for xds",
  "": "grpc-js refuses to create a channel for it",
};

test("each dialled string has the same target label as in grpc-go", options, async () => {
  const dialled = TARGETS.map(([target]) => target).filter((target) => !(target in OWN_TARGETS));
  await withPair(["grpc-go", "grpc-js"], async (go, ours) => {
    assert.deepEqual(await targetLabels(ours, dialled), await targetLabels(go, dialled));
  });
});

/** Returns the label `grpc.target` of each dialled string. */
async function targetLabels(peer: Peer, dialled: readonly string[]) {
  for (const [index, target] of dialled.entries()) {
    // The deadline is already exceeded, because there is no server.
    await peer.call({ target, path: `/Target/${index}`, messages: [""], deadlineMs: 0 }).result;
  }
  const { metrics } = await peer.report();
  const calls = metrics.find(({ descriptor }) => descriptor.name === "grpc.client.call.duration")!;
  return Object.fromEntries(calls.dataPoints.map(({ attributes }) => {
    const index = Number(/^Target\/(\d+)$/.exec(String(attributes["grpc.method"]))?.[1]);
    return [dialled[index], attributes["grpc.target"]];
  }));
}
