// Tests the dashboard and the rules with a real Prometheus that scrapes the real scripts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { METRICS } from "../../../plugin/metrics/definitions.ts";
import type { MetricDefinition } from "../../../plugin/metrics/definitions.ts";
import { metricName } from "../../../prometheus/families/names.ts";
import { realPrometheus } from "../programs.ts";
import { eventually, eventuallyEqual } from "../../support/eventually.ts";
import { chromium, skipWithout } from "../../tools.ts";
import { startMetricsProgram, TARGETS } from "../../xds/running-metrics-program.ts";
import { draw } from "../dashboard/drawing.ts";
import { drawOverview } from "../dashboard/overview.ts";
import { readDashboard } from "../dashboard/panels.ts";
import { format } from "../dashboard/units.ts";
import { startBrowser } from "../graph-page.ts";
import { interpolate, NEEDS_XDS, panels, queries, variables } from "./dashboard.ts";
import type { Choice } from "./dashboard.ts";
import { startCalls } from "./all-calls.ts";
import { RunningPrometheus } from "../running-prometheus.ts";

const PATIENCE_MS = 30_000;

/**
 * The variables that affect each row: only clients have a target, only calls have a method. An xDS
 * client serves all targets of a process. Panels that differ from their row have an entry of their own.
 */
const VARIABLES_OF_ROWS: Readonly<Record<string, readonly string[]>> = {
  Codelab: ["job", "grpc_method", "grpc_target"],
  Client: ["job", "grpc_method", "grpc_target"],
  Delays: ["job", "grpc_target"],
  "Load balancing": ["job", "grpc_target"],
  xDS: ["job"],
  Server: ["job", "grpc_method"],
  Connections: ["job"],
  "TLS handshakes of clients": ["job", "grpc_target"],
  Runtime: ["job"],
};

/** Queries of these rows must not only have results, but also show what happened. */
const ROWS_WITH_EVENTS = ["Delays", "Load balancing", "xDS", "Connections"];

const executable = await realPrometheus();
const needsPrometheus = { skip: skipWithout(executable, "prometheus") };
const browser = await chromium();
// Once is enough: Chromium is the same, and the picture is taken with Node.
const isNode = !("Bun" in globalThis || "Deno" in globalThis);
const needsBrowser = { skip: isNode ? skipWithout(browser, "chromium") : "drawn with Node only" };

test("all queries and rules have results, and all panels are drawn", needsPrometheus, async (t) => {
  assert.ok(executable, "prometheus is missing");
  const [{ address, jobs }, balanced] = await Promise.all([startCalls(t), startMetricsProgram(t)]);
  const hasXds = balanced !== undefined;
  const prometheus = await RunningPrometheus.start(t, executable, {
    ...jobs,
    ...(hasXds && { "xds-client": [balanced] }),
  });
  const needs = (query: string) => ({
    skip: NEEDS_XDS.test(query) && skipWithout(balanced, "the xDS control plane"),
  });

  const choice: Choice = {
    job: ["echo-client", "echo-server", ...(hasXds ? ["xds-client"] : [])],
    grpc_method: [
      "grpc.examples.echo.Echo/ServerStreamingEcho",
      "grpc.examples.echo.Echo/UnaryEcho",
    ],
    grpc_target: [`dns:///${address}`, ...(hasXds ? TARGETS : [])],
  };
  for (const { name, label, selector } of variables) {
    await t.test(`variable ${name}`, async () => {
      await eventuallyEqual(
        () => prometheus.labelValues(label, interpolate(selector, choice)),
        [...choice[name] ?? []],
        PATIENCE_MS,
      );
    });
  }

  for (const { row, panel, query } of queries) {
    await t.test(`${row}, ${panel}: ${query}`, needs(query), async () => {
      await hasData(prometheus, interpolate(query, choice), ROWS_WITH_EVENTS.includes(row));
      for (const name of VARIABLES_OF_ROWS[panel] ?? VARIABLES_OF_ROWS[row] ?? []) {
        const nothing = interpolate(query, { ...choice, [name]: ["nobody"] });
        assert.deepEqual(await prometheus.query(nothing), [], `${name} has no effect`);
      }
    });
  }

  const rules = await prometheus.rules();
  for (const { type, name, query } of rules) {
    if (type === "recording") {
      await t.test(`rule ${name}`, needs(name), () => hasData(prometheus, name));
    } else if (NEEDS_XDS.test(query)) {
      // The client has each of these problems.
      await t.test(`alert ${name}`, needs(query), () => isRaised(prometheus, name));
    } else {
      // An alert has no result while everything works, so this checks the metrics that it reads.
      await t.test(`alert ${name}`, async () => {
        const names = query.match(/\w+(:\w+)+|\bup\b|\bgrpc_\w+_total\b|\bprocess_\w+\b/g) ?? [];
        assert.ok(names.length > 0);
        for (const each of names) await hasData(prometheus, each);
      });
    }
  }

  await t.test("every rule can be evaluated", async () => {
    assert.ok(rules.length > 0);
    await eventually(async () => {
      const failed = (await prometheus.rules()).filter(({ health }) => health !== "ok");
      assert.deepEqual(failed.map(({ name, lastError }) => `${name}: ${lastError}`), []);
    }, PATIENCE_MS);
  });

  const all = readDashboard("grpc").panels.filter((panel) =>
    panel.type !== "row" && (hasXds || !NEEDS_XDS.test(panel.targets[0]!.expr))
  );
  const end = Math.floor(Date.now() / 1000);
  const times = { start: end - 60, end, step: 1 };
  const drawings = await draw(all, (...query) => prometheus.range(...query), times);
  await t.test("every line of a panel has a name of its own", () => {
    for (const { title, graph } of drawings) {
      const legends = graph?.lines.map(({ legend }) => legend) ?? [];
      assert.deepEqual([...new Set(legends)], legends, title);
      for (const legend of legends) {
        assert.match(legend, /^\S+( \S+)*$/, `${title}: a label is missing`);
      }
    }
  });
  await t.test("every panel is drawn", needsBrowser, async (t) => {
    assert.ok(browser, "chromium is missing");
    const { shown } = await drawOverview(await startBrowser(t, browser), drawings);
    assert.deepEqual(shown.map(({ title }) => title), all.map(({ title }) => title));
    for (const { title, message, pixels, entries, hidden } of shown) {
      assert.equal(message, "", title);
      assert.ok(pixels > 0, `${title} is empty`);
      // Grafana scrolls a longer legend. The states of xDS resources are many if the test takes
      // longer than the 15 s after which a resource does not exist (xDS protocol).
      assert.ok(
        entries - hidden >= Math.min(entries / 2, 6),
        `${title}: ${hidden} of ${entries} names are not visible`,
      );
    }
  });
});

test("a panel without data says so, or which variable it needs", async () => {
  const { panels: all } = readDashboard("grpc");
  const drawings = await draw(all, () => Promise.resolve([]), { start: 0, end: 60, step: 1 });
  for (const [index, { title, message }] of drawings.entries()) {
    const { description = "", type } = panels.find(({ id }) => id === all[index]?.id) ?? {};
    if (type === undefined) continue;
    const [variable] = /GRPC_METRICS_ENABLED=\S+/.exec(description) ?? [];
    if (variable !== undefined) {
      assert.ok(message?.endsWith(`: set ${variable}`), `${title}: ${message}`);
    } else assert.match(message ?? "", /^No (data|errors)$/, title);
  }
});

test("values are written as Grafana writes them", () => {
  // What formattedValueToString of @grafana/data 13.2 returns, without zeros at the end.
  assert.deepEqual(
    ([["s", 0], ["s", 25e-6], ["s", 0.0015], ["s", 0.1], ["s", 2.05], ["s", 90], [
      "s",
      7308,
    ]] as const)
      .map(([unit, value]) => format(unit, value)),
    ["0 s", "25 µs", "1.5 ms", "100 ms", "2.05 s", "1.5 mins", "2.03 hours"],
  );
  assert.deepEqual(
    ([
      ["percentunit", 0.1234],
      ["short", 12_345],
      ["short", 0.5],
      ["reqps", 1200],
      ["ops", 12],
      ["cps", 0.2],
      ["Bps", 1500],
      ["bytes", 6e7],
    ] as const).map(([unit, value]) => format(unit, value)),
    ["12.3%", "12.3 K", "0.5", "1.2K req/s", "12 ops/s", "0.2 c/s", "1.5 kB/s", "57.2 MiB"],
  );
});

test("every panel has a description, a unit and the chosen data source", () => {
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, "ids are unique");
  for (const { title, description, datasource, fieldConfig, options, targets = [] } of panels) {
    assert.ok(description, `${title}: description`);
    assert.ok(fieldConfig?.defaults.unit ?? options?.yAxis?.unit, `${title}: unit`);
    assert.ok(targets.length > 0, `${title}: queries`);
    for (const source of [datasource, ...targets.map((target) => target.datasource)]) {
      assert.equal(source?.uid, "${datasource}", `${title}: data source`);
    }
    for (const { legendFormat } of targets) assert.match(legendFormat, /\{\{\w+\}\}/, title);
  }
});

test("no panel overlaps another one", () => {
  for (const { title, gridPos: a } of panels) {
    assert.ok(a.x + a.w <= 24, `${title} is too far right`);
    const covered = panels.filter(({ gridPos: b }) =>
      a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
    );
    assert.deepEqual(covered.map((panel) => panel.title), [title]);
  }
});

test("a panel of metrics that are off by default says which variable turns them on", () => {
  const off = Object.values(METRICS).flatMap((group) => Object.values<MetricDefinition>(group))
    .filter(({ onByDefault }) => !onByDefault);
  let mentions = 0;
  for (const { title, description = "", targets = [] } of panels) {
    const [, variable = ""] = /GRPC_METRICS_ENABLED=(\S+)/.exec(description) ?? [];
    const prefixes = variable.split(",").filter((name) => name.endsWith("*"))
      .map((name) => name.slice(0, -1));
    for (const { name, unit, kind } of off) {
      const family = metricName(name, unit, kind);
      if (!targets.some(({ expr }) => expr.includes(`${family}`))) continue;
      mentions++;
      assert.ok(prefixes.some((prefix) => name.startsWith(prefix)), `${title}: ${name}`);
    }
  }
  assert.ok(mentions > 0);
});

/** Waits until an alert has a result. It fires when it has had one for as long as it says. */
async function isRaised(prometheus: RunningPrometheus, alert: string): Promise<void> {
  await eventually(async () => {
    const { state } = (await prometheus.rules()).find(({ name }) => name === alert)!;
    assert.match(`${state}`, /^(pending|firing)$/);
  }, PATIENCE_MS);
}

/** @param isPositive Whether a result must be more than 0. */
async function hasData(
  prometheus: RunningPrometheus,
  query: string,
  isPositive = false,
): Promise<void> {
  await eventually(async () => {
    const values = await prometheus.query(query);
    assert.ok(values.some((value) => !isPositive || value > 0), `no data: ${query}: ${values}`);
  }, PATIENCE_MS);
}
