/**
 * A client with xDS in which everything happens that the metrics of load balancing and of the xDS client
 * know, again and again until the process is killed. Prints the URL of its metrics. Runs like the tests,
 * see `running-metrics-program.ts`.
 *
 * @module
 */
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { setTimeout as delay } from "node:timers/promises";
import { METRIC_NAMES } from "../../plugin/metrics/definitions.ts";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { PrometheusReader, startScrapeEndpoint } from "../../prometheus/mod.ts";
import { BackEnd } from "../support/back-ends.ts";
import { echoClient, unary } from "../support/echo.ts";
import { freePort } from "../support/ports.ts";
import { scrape } from "../support/scrape.ts";
import type { Owner } from "../support/script.ts";
import { bootstrap } from "./control-plane.ts";
import { ownXdsClient, startControlPlane } from "./fixture.ts";
import {
  brokenCluster,
  cluster,
  endpoints,
  listener,
  routes,
  weightedRoundRobin,
} from "./resources.ts";

/** Everything ends with the process. */
const owner: Owner = { after() {} };

const reader = new PrometheusReader();
const meterProvider = new MeterProvider({ readers: [reader] });
const everything = new GrpcOpenTelemetry({
  meterProvider,
  enableMetrics: METRIC_NAMES,
  optionalLabels: ["grpc.lb.locality", "grpc.lb.backend_service"],
});
/** For clients without a configuration, whose calls may wait for it until their deadline. */
const xdsClientOnly = new GrpcOpenTelemetry({
  meterProvider,
  enableMetrics: METRIC_NAMES.filter((name) => name.startsWith("grpc.xds_client.")),
  disableMetrics: METRIC_NAMES.filter((name) => !name.startsWith("grpc.xds_client.")),
});

/** Makes calls one after another, with an xDS client of their own. */
async function callForever(
  name: string,
  plane: { readonly bootstrap: string },
  plugin: GrpcOpenTelemetry,
  before: () => void = () => {},
): Promise<never> {
  const options = { "grpc.use_local_subchannel_pool": 1, ...ownXdsClient(plane) };
  const client = echoClient(`xds:///${name}`, plugin.clientOptions(options));
  while (true) {
    before();
    await unary(client, "hello", { deadline: Date.now() + 1000 });
    await delay(20);
  }
}

const fast = await BackEnd.start(owner);
const slow = await BackEnd.start(owner);
const once = await BackEnd.start(owner);
const silent = await BackEnd.start(owner);
const good = await BackEnd.start(owner);
const bad = await BackEnd.start(owner);
const spared = await BackEnd.start(owner);
bad.isFailing = spared.isFailing = true;
once.load = { qps: 1, utilization: 1 };
const ports = (...backEnds: BackEnd[]) => backEnds.map(({ port }) => port);

const plane = await startControlPlane(owner, [
  ...["weights", "ejections"].flatMap((name) => [listener(name), routes(name, { [name]: 100 })]),
  cluster(
    "weights",
    weightedRoundRobin({
      blackout_period: "0s",
      weight_update_period: "0.1s",
      weight_expiration_period: "1s",
    }),
  ),
  endpoints("weights", [
    { name: "eu/a/1", ports: ports(fast, slow) },
    { name: "us/b/2", ports: ports(once, silent) },
  ]),
  // Two of three are outliers, and only one may be ejected. It returns, and is ejected again.
  cluster("ejections", {
    outlier_detection: {
      interval: "0.25s",
      base_ejection_time: "0.3s",
      max_ejection_time: "0.3s",
      max_ejection_percent: 10,
      failure_percentage_threshold: 50,
      enforcing_failure_percentage: 100,
      failure_percentage_minimum_hosts: 2,
      failure_percentage_request_volume: 2,
      enforcing_success_rate: 0,
    },
  }),
  endpoints("ejections", [{ name: "eu/a/1", ports: ports(good, bad, spared) }]),
]);
callForever("weights", plane, everything, () => {
  fast.load = { qps: 1, utilization: 0.25 };
  slow.load = { qps: 1, utilization: 0.5 };
});
callForever("ejections", plane, everything);

// A control plane that sends the same mistake again and again.
const wrong = await startControlPlane(owner, [
  listener("refused"),
  routes("refused", { changed: 40, never: 20, missing: 20, fine: 20 }),
  cluster("changed"),
  cluster("fine"),
  endpoints("changed", [{ name: "eu/a/1", ports: ports(good) }]),
]);
callForever("refused", wrong, xdsClientOnly);

// A control plane that nobody can reach, and one that comes and goes.
callForever("lost", { bootstrap: bootstrap(await freePort()) }, xdsClientOnly);
const flapping = await startControlPlane(owner, [listener("flapping")]);
callForever("flapping", flapping, xdsClientOnly);

const { url } = await startScrapeEndpoint({ reader, host: "127.0.0.1", port: 0 });
console.log(`metrics: ${url}`);

/** Waits until the metrics say whether a client is connected to its control plane. */
async function untilConnected(target: string, value: 0 | 1): Promise<void> {
  const labels = `grpc_target="xds:///${target}"`;
  const series = new RegExp(`^grpc_xds_client_connected\\{${labels}.*\\} ${value}$`, "m");
  while (!series.test(await scrape(url))) await delay(200);
}

await untilConnected("refused", 1);
while (true) {
  await untilConnected("flapping", 1);
  // Clients get all clusters when one changes.
  await wrong.set(brokenCluster("changed"), brokenCluster("never"));
  await flapping.stop();
  await untilConnected("flapping", 0);
  await flapping.listen();
}
