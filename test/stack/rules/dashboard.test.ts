// Tests the dashboard and the rules with a real Prometheus that scrapes the real scripts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { realPrometheus } from "../programs.ts";
import { eventually, eventuallyEqual } from "../../support/eventually.ts";
import { startClient, startServer } from "../../support/script.ts";
import type { Owner } from "../../support/script.ts";
import { skipWithout } from "../../tools.ts";
import { interpolate, panels, queries, variables } from "./dashboard.ts";
import type { Choice } from "./dashboard.ts";
import { RunningPrometheus } from "../running-prometheus.ts";

const PATIENCE_MS = 30_000;

/** The variables that affect each row: only clients have a target, only calls have a method. */
const VARIABLES_OF_ROWS: Readonly<Record<string, readonly string[]>> = {
  Codelab: ["job", "grpc_method", "grpc_target"],
  Client: ["job", "grpc_method", "grpc_target"],
  Server: ["job", "grpc_method"],
  Runtime: ["job"],
};

const executable = await realPrometheus();
const needsPrometheus = { skip: skipWithout(executable, "prometheus") };

test("all queries and rules have results", needsPrometheus, async (t) => {
  assert.ok(executable, "prometheus is missing");
  const { address, jobs } = await startCalls(t);
  const prometheus = await RunningPrometheus.start(t, executable, jobs);

  const choice: Choice = {
    job: ["echo-client", "echo-server"],
    grpc_method: [
      "grpc.examples.echo.Echo/ServerStreamingEcho",
      "grpc.examples.echo.Echo/UnaryEcho",
    ],
    grpc_target: [`dns:///${address}`],
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
    await t.test(`${row}, ${panel}: ${query}`, async () => {
      await hasData(prometheus, interpolate(query, choice));
      for (const name of VARIABLES_OF_ROWS[row] ?? []) {
        const nothing = interpolate(query, { ...choice, [name]: ["nobody"] });
        assert.deepEqual(await prometheus.query(nothing), [], `${name} has no effect`);
      }
    });
  }

  const rules = await prometheus.rules();
  for (const { type, name, query } of rules) {
    if (type === "recording") {
      await t.test(`rule ${name}`, () => hasData(prometheus, name));
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

async function hasData(prometheus: RunningPrometheus, query: string): Promise<void> {
  await eventually(async () => {
    assert.notEqual((await prometheus.query(query)).length, 0, `no data: ${query}`);
  }, PATIENCE_MS);
}

/** Starts a server, a client whose calls succeed, and a client whose deadline is too short. */
async function startCalls(owner: Owner) {
  const server = await startServer(owner, "node", { ECHO_DELAY_MS: "100" });
  const clients = await Promise.all([
    startClient(owner, "node", {
      ECHO_ADDR: server.address,
      ECHO_METHOD: "UnaryEcho",
      ECHO_CONCURRENCY: "4",
    }),
    startClient(owner, "node", {
      ECHO_ADDR: server.address,
      ECHO_METHOD: "ServerStreamingEcho",
      ECHO_CONCURRENCY: "4",
      ECHO_DEADLINE_MS: "50",
    }),
  ]);
  return {
    address: server.address,
    jobs: {
      "echo-server": [server.metricsUrl],
      "echo-client": clients.map((client) => client.metricsUrl),
    },
  };
}
