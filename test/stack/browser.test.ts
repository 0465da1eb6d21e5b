// Tests the pages behind the links that `npm run stack` prints, in a real browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CODELAB_QUERIES, hasData } from "../../stack/queries.ts";
import { eventually } from "../support/eventually.ts";
import { PROJECT } from "../support/script.ts";
import { chromium, skipWithout } from "../tools.ts";
import { GraphPage, startBrowser } from "./graph-page.ts";
import { realCollector, realPrometheus } from "./programs.ts";
import { RunningStack } from "./running-stack.ts";

const prometheus = await realPrometheus();
const collector = prometheus && await realCollector();
const browser = collector && await chromium();
const options = {
  skip: skipWithout(browser, "Prometheus, the Collector or Chromium"),
  timeout: 600_000,
};

// This test takes the README's screenshot. To update it, which takes four minutes of calls:
//   README_SCREENSHOT=1 node runtimes/run.mjs node --test test/stack/browser.test.ts
const forReadme = process.env["README_SCREENSHOT"] !== undefined;
const README_SCREENSHOT = `${PROJECT}docs/prometheus.png`;
const SECONDS_OF_DATA = forReadme ? 240 : 15;

/** The page draws 5 minutes on more than 1,000 pixels, so 15 s are about 50 pixels. */
const DRAWN_PIXELS = 40;

/** Durations on both sides of the bucket bound of 130 ms, so that the median moves. */
const LOAD = { ECHO_DELAY_MS: "128", ECHO_CONCURRENCY: "10" };

for (const [way, args] of [["pushed", []], ["pulled", ["--pull"]]] as const) {
  test(`${way}: the printed links show a graph of each query`, options, async (t) => {
    assert.ok(browser, "Prometheus, the Collector or Chromium is missing");
    const stack = await RunningStack.start(t, args, LOAD);
    const url = await stack.ready();
    await eventually(async () => {
      const past = `grpc_client_attempt_started_total offset ${SECONDS_OF_DATA}s`;
      assert.ok(await hasData(url, past), `no ${past}`);
    }, (SECONDS_OF_DATA + 60) * 1000);

    const links = stack.lines.flatMap((line) =>
      /\| +(http:\S+\/graph\?\S+)$/.exec(line)?.[1] ?? []
    );
    assert.equal(links.length, CODELAB_QUERIES.length, stack.text);
    const chrome = await startBrowser(t, browser);
    for (const [index, query] of CODELAB_QUERIES.entries()) {
      const page = await GraphPage.open(chrome, links[index]!);
      if (!page.isClassic && process.env["CI"] === undefined) {
        t.skip(
          "this Prometheus lacks the classic graph page, the only one that this test can read",
        );
        return;
      }
      const graph = await eventually(async () => {
        const seen = await page.read();
        assert.deepEqual(seen.alerts, []);
        assert.equal(seen.query, query);
        assert.deepEqual(names(seen.legend[0]?.series), labelNames(query));
        return seen;
      }, 30_000);

      // The median is one line. Each bucket is one line.
      const bounds = query.startsWith("histogram_quantile") ? 1 : 42;
      assert.equal(graph.legend.length, bounds);
      assert.equal(graph.lines, bounds);
      for (const { series } of graph.legend) {
        assert.match(series, /grpc_method="grpc\.examples\.echo\.Echo\/UnaryEcho"/);
        assert.match(series, /grpc_target="dns:\/\/\/localhost:\d+"/);
        assert.match(series, /grpc_status="OK"/);
        assert.match(series, /job="echo-client"/);
      }
      const drawn = await page.pixels(graph.legend.map(({ colour }) => colour));
      await page.screenshot(`${PROJECT}.cache/screenshots/${way}-${index + 1}.png`);
      assert.ok(drawn >= DRAWN_PIXELS, `${drawn} pixels have a colour of the legend`);
      if (forReadme && way === "pushed" && index === 0) await page.screenshot(README_SCREENSHOT);
    }
  });
}

/** Returns the expected label names of a query's series. */
function labelNames(query: string): string[] {
  const grpc = ["grpc_method", "grpc_status", "grpc_target"];
  const bound = query.startsWith("histogram_quantile") ? [] : ["le"];
  return [...grpc, "instance", "job", ...bound, "otel_scope_name", "otel_scope_version"];
}

/** Returns the label names in the text of a series. */
function names(series = ""): string[] {
  return [...series.matchAll(/(\w+)="/g)].map(([, name = ""]) => name);
}
