// Tests that the storage that Prometheus forwards to has all series, and answers every query of the
// rules and the dashboard as Prometheus does.

import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { CODELAB_QUERIES } from "../../stack/queries.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { PROJECT, startClient, startServer } from "../support/script.ts";
import type { Owner } from "../support/script.ts";
import { skipWithout, victoriaMetrics } from "../tools.ts";
import { realPrometheuses } from "./programs.ts";
import { interpolate, queries } from "./rules/dashboard.ts";
import { RunningPrometheus } from "./running-prometheus.ts";
import { query } from "./running-stack.ts";
import type { Sample } from "./running-stack.ts";
import { RunningVictoriaMetrics } from "./running-victoria-metrics.ts";
import { serveSteadily } from "./steady-page.ts";

const { "Prometheus 2": prometheus2, "Prometheus 3": prometheus3 } = await realPrometheuses();
const storage = await victoriaMetrics();
const options = {
  skip: skipWithout(prometheus2, "Prometheus 2") || skipWithout(prometheus3, "Prometheus 3") ||
    skipWithout(storage, "VictoriaMetrics"),
  timeout: 240_000,
};

const METHODS = ["UnaryEcho", "ServerStreamingEcho"] as const;
/** Stands for the windows of rules and dashboard, 1 and 5 minutes, so that the test need not wait. */
const WINDOW_S = 10;
/** The largest relative difference between two results. */
const TOLERANCE = 0.02;
/**
 * The same for `increase` in VictoriaMetrics, which takes the last sample before the window for its
 * beginning and so may have one more of {@link WINDOW_S}. Prometheus extrapolates from the samples in
 * the window to its ends.
 */
const INCREASE_TOLERANCE = 1.2 / WINDOW_S;
/** Long enough for a window full of samples. */
const PATIENCE_MS = 90_000;

test("storage answers every query as the Prometheus that forwards to it", options, async (t) => {
  assert.ok(prometheus2 && prometheus3 && storage);
  const { address, pages } = await startScripts(t);
  const rules = await shortRules(t);
  const choice = {
    job: ["echo-client", "echo-server"],
    grpc_method: METHODS.map((name) => `grpc.examples.echo.Echo/${name}`),
    grpc_target: [`dns:///${address}`],
  };

  const senders = await Promise.all(
    [["Prometheus 2", prometheus2, prometheus3], ["Prometheus 3", prometheus3, prometheus2]].map(
      async ([name = "", executable = "", receiver = ""]) => {
        const storages = {
          VictoriaMetrics: await RunningVictoriaMetrics.start(t),
          "the other Prometheus": await RunningPrometheus.start(t, receiver, {}, {
            // Rules run in one place. Two would write the same series.
            config: { rule_files: [] },
            flags: ["--web.enable-remote-write-receiver"],
          }),
        };
        const prometheus = await RunningPrometheus.start(t, executable, {
          "echo-server": [await serveSteadily(t, pages[0]!)],
          "echo-client": await Promise.all(pages.slice(1).map((page) => serveSteadily(t, page))),
        }, {
          config: {
            rule_files: [rules],
            remote_write: Object.values(storages).map(({ url }) => ({
              url: `${url}/api/v1/write`,
              queue_config: { batch_send_deadline: "200ms" },
            })),
          },
        });
        return { name, prometheus, storages };
      },
    ),
  );

  for (const { name, prometheus, storages } of senders) {
    const loaded = await prometheus.rules();
    assert.ok(loaded.length > 0);
    const expressions = new Set([
      ...[...CODELAB_QUERIES, ...queries.map((panel) => panel.query)]
        .map((each) => short(interpolate(each, choice))),
      ...loaded.filter(({ type }) => type === "recording").map(({ name }) => name),
      ...loaded.map((rule) => rule.query),
    ]);
    for (const [receiver, { url }] of Object.entries(storages)) {
      await t.test(`${name} to ${receiver}: every series`, () =>
        eventually(async () => {
          const all = `{__name__=~".+", __name__!~"ALERTS.*"}`;
          const [own, stored] = await both(prometheus.url, url, all);
          assert.ok(own.size > 100, `${own.size} series`);
          assertAlike(stored, own, all);
        }, PATIENCE_MS));
      await t.test(`${name} to ${receiver}: every query`, async () => {
        for (const expression of expressions) {
          await eventually(async () => {
            const [own, stored] = await both(prometheus.url, url, expression);
            assertAlike(withoutNames(stored), withoutNames(own), expression);
          }, PATIENCE_MS);
        }
      });
    }
  }
});

/** Starts a server and two clients, one of which fails. Returns their metrics after some calls. */
async function startScripts(owner: Owner) {
  const authority = await CertificateAuthority.create(owner, "authority");
  const { certificate, key } = await authority.issue("server");
  const metrics = { GRPC_METRICS_ENABLED: "grpc.*" };
  const server = await startServer(owner, "node", {
    ...metrics,
    ECHO_DELAY_MS: "100",
    GRPC_TLS_CERT: certificate,
    GRPC_TLS_KEY: key,
  });
  const clients = await Promise.all(METHODS.map((ECHO_METHOD, index) =>
    startClient(owner, "node", {
      ...metrics,
      GRPC_TLS_CA: authority.certificate,
      ECHO_ADDR: server.address,
      ECHO_METHOD,
      ECHO_CONCURRENCY: "4",
      ...(index === 0 ? {} : { ECHO_DEADLINE_MS: "50" }),
    })
  ));
  const urls = [server, ...clients].map(({ metricsUrl }) => metricsUrl);
  const pages = await eventually(async () => {
    const pages = await Promise.all(
      urls.map((url) => scrape(url, { accept: "application/openmetrics-text; version=1.0.0" })),
    );
    for (const page of pages) assert.match(page, /_call_duration_seconds_count\{.*\} \d\d/);
    return pages;
  }, PATIENCE_MS);
  for (const { script } of [...clients, server]) await script.stop();
  return { address: server.address, pages };
}

/** Writes copies of the rules with {@link short} windows. Returns a pattern for their paths. */
async function shortRules(owner: Owner): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "rules-"));
  owner.after(() => rm(folder, { recursive: true }));
  for (const file of globSync(`${PROJECT}stack/rules/*.yml`)) {
    await writeFile(join(folder, basename(file)), short(await readFile(file, "utf8")));
  }
  return join(folder, "*.yml");
}

function short(queries: string): string {
  return queries.replaceAll(/\[[15]m\]/g, `[${WINDOW_S}s]`);
}

type Results = ReadonlyMap<string, number>;

/** Asks both for the same moment, whose samples have arrived. */
async function both(prometheus: string, storage: string, expression: string) {
  const timeS = Date.now() / 1000 - 2;
  return [
    comparable(await query(prometheus, expression, timeS)),
    comparable(await query(storage, expression, timeS)),
  ] as const;
}

/** Returns values by labels. Leaves out NaN, for which VictoriaMetrics has no result. */
function comparable(samples: readonly Sample[]): Results {
  const values = samples.map(({ metric, value }) => [seriesOf(metric), Number(value[1])] as const);
  return new Map(values.filter(([, value]) => !Number.isNaN(value)).sort());
}

function seriesOf(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => a < b ? -1 : 1));
}

/** Removes the metric's name, which some functions of VictoriaMetrics keep. */
function withoutNames(results: Results): Results {
  return new Map(
    [...results].map(([series, value]) => {
      const { __name__: _, ...labels } = Object.fromEntries(JSON.parse(series));
      return [seriesOf(labels), value] as const;
    }).sort(),
  );
}

function assertAlike(actual: Results, expected: Results, query: string): void {
  assert.deepEqual([...actual.keys()], [...expected.keys()], query);
  const tolerance = query.includes("increase(") ? INCREASE_TOLERANCE : TOLERANCE;
  for (const [series, value] of expected) {
    const other = actual.get(series)!;
    // A difference of large numbers may be 1e-12 instead of 0.
    const near = Math.abs(other - value) <= tolerance * Math.abs(value) + 1e-9;
    assert.ok(near || other === value, `${query} ${series}: ${other} instead of ${value}`);
  }
}
