// Tests that each version of Prometheus stores exactly what the scripts show on /metrics.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { PrometheusReader, startScrapeEndpoint } from "../../prometheus/mod.ts";
import { eventually } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { RUNTIMES, startClient, startServer } from "../support/script.ts";
import type { Owner } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { realPrometheuses } from "./programs.ts";
import { RunningPrometheus } from "./running-prometheus.ts";
import { query } from "./running-stack.ts";
import { shownSeries, storedSeries } from "./stored-series.ts";

const OPEN_METRICS = "application/openmetrics-text; version=1.0.0";
/** Calls of each client. */
const CALLS = 7;
const PATIENCE_MS = 60_000;

const versions = Object.entries(await realPrometheuses());
const found = versions.find(([, executable]) => executable !== undefined)?.[0];

test("every version of Prometheus stores what every runtime shows", {
  skip: skipWithout(found, "Prometheus"),
  timeout: 180_000,
  concurrency: true,
}, async (t) => {
  const pages = await startScripts(t);
  await Promise.all(
    versions.map(([name, executable]) =>
      t.test(name, { skip: skipWithout(executable, name) }, async (t) => {
        assert.ok(executable, `${name} is missing`);
        const targets = await Promise.all(pages.map((page) => RecordedTarget.start(t, page)));
        const prometheus = await RunningPrometheus.start(t, executable, {
          scripts: targets.map(({ url }) => url),
        });
        for (const { url, pageUrl, accepted, answered } of targets) {
          await eventually(async () => {
            const page = await scrape(pageUrl, { accept: OPEN_METRICS });
            assert.equal(
              /^grpc_\w+_duration_seconds_count\{.*\} (\d+)/m.exec(page)?.[1],
              `${CALLS}`,
            );
            const samples = await query(prometheus.url, `{instance="${new URL(url).host}"}`);
            assert.deepEqual(storedSeries(samples), shownSeries(page));
          }, PATIENCE_MS);
          assert.equal(accepted.size, 1, "one Accept header");
          assert.match([...accepted].join(), /application\/openmetrics-text;version=1\.0\.0/);
          assert.match([...answered].join(), /^application\/openmetrics-text; version=1\.0\.0/);
        }
      })
    ),
  );
});

test("Prometheus 3 stores names of any characters, and Prometheus 2 escaped ones", {
  skip: skipWithout(found, "Prometheus"),
  timeout: 120_000,
}, async (t) => {
  const reader = new PrometheusReader();
  const meter = new MeterProvider({ readers: [reader] }).getMeter("m");
  const attributes = { "größe": "x", 'quo"te': "y", "a:b": "z", "2nd": "n" };
  meter.createCounter("shop.orders").add(3, attributes);
  meter.createHistogram("shop.time", { advice: { explicitBucketBoundaries: [1] } }).record(2);
  const endpoint = await startScrapeEndpoint({
    reader,
    host: "127.0.0.1",
    port: 0,
    translationStrategy: "NoTranslation",
    withoutScopeInfo: true,
  });
  t.after(() => endpoint.close());
  for (const [name, executable] of versions) {
    await t.test(name, { skip: skipWithout(executable, name) }, async (t) => {
      assert.ok(executable, `${name} is missing`);
      const { url } = await RunningPrometheus.start(t, executable, { shop: [endpoint.url] });
      const isEscaped = name === "Prometheus 2";
      const labels = isEscaped ? { gr__e: "x", quo_te: "y", a_b: "z", _nd: "n" } : attributes;
      await eventually(async () => {
        const samples = (await query(url, '{__name__=~"shop.*"}')).map(({ metric, value }) => {
          const { job: _, instance: _instance, ...own } = metric;
          return [own, value[1]];
        });
        const time = isEscaped ? "shop_time" : "shop.time";
        assert.deepEqual(
          new Set(samples),
          new Set([
            [{ __name__: isEscaped ? "shop_orders" : "shop.orders", ...labels }, "3"],
            [{ __name__: `${time}_bucket`, le: "1.0" }, "0"],
            [{ __name__: `${time}_bucket`, le: "+Inf" }, "1"],
            [{ __name__: `${time}_sum` }, "2"],
            [{ __name__: `${time}_count` }, "1"],
          ]),
        );
      }, PATIENCE_MS);
    });
  }
});

/** Starts a server and a client on each runtime. Returns the URLs of their metrics. */
async function startScripts(owner: Owner): Promise<string[]> {
  const pages = await Promise.all(RUNTIMES.map(async (runtime) => {
    const server = await startServer(owner, runtime);
    const client = await startClient(owner, runtime, {
      ECHO_ADDR: server.address,
      ECHO_CONCURRENCY: `${CALLS}`,
      ECHO_INTERVAL_MS: "3600000", // each worker makes one call, then pauses
    });
    return [server.metricsUrl, client.metricsUrl];
  }));
  return pages.flat();
}

/** A page of metrics that passes on another one, and records how Prometheus asks for it. */
class RecordedTarget {
  readonly accepted = new Set<string | undefined>();
  readonly answered = new Set<string | null>();
  readonly pageUrl: string;
  #url = "";

  private constructor(pageUrl: string) {
    this.pageUrl = pageUrl;
  }

  get url(): string {
    return this.#url;
  }

  static async start(owner: Owner, pageUrl: string): Promise<RecordedTarget> {
    const target = new RecordedTarget(pageUrl);
    const server = createServer(async ({ headers: { accept } }, response) => {
      const page = await fetch(pageUrl, { headers: { accept: accept ?? "" } });
      const contentType = page.headers.get("content-type");
      target.accepted.add(accept);
      target.answered.add(contentType);
      response.setHeader("content-type", contentType ?? "");
      response.end(Buffer.from(await page.arrayBuffer()));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    owner.after(async () => {
      server.closeAllConnections();
      await once(server.close(), "close");
    });
    target.#url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
    return target;
  }
}
