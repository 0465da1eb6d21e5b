/** The live page of /metrics in a real browser, from a process of each runtime. */
import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import { bytes, duration, number } from "../../telemetry/page/columns.ts";
import { eventually } from "../support/eventually.ts";
import { run, RUNTIMES, Script } from "../support/script.ts";
import type { Owner, Runtime } from "../support/script.ts";
import { chromium, skipWithout } from "../tools.ts";
import { LivePage, startPageBrowser } from "./live-page.ts";
import { realPrometheus } from "./programs.ts";
import { RunningPrometheus } from "./running-prometheus.ts";

const prometheus = await realPrometheus();
const executable = prometheus && await chromium();
const options = { skip: skipWithout(executable, "Prometheus or Chromium"), timeout: 120_000 };
const browser = executable === undefined
  ? undefined
  : await startPageBrowser({ after }, executable);

/** Starts the process with the page. */
async function start(owner: Owner, runtime: Runtime, methods: number) {
  const command = run(runtime, "test/stack/page-process.ts", String(methods));
  const script = new Script(owner, command);
  const control = await script.printed(/^Control at (.+)\n/m);
  return {
    metricsUrl: await script.printed(/^Metrics at (.+)\n/m),
    makeCalls: async () => assert.equal(await (await fetch(control)).text(), "done"),
  };
}

/** The URL of a process for what is the same on all runtimes. */
const anyProcess = options.skip === false && executable !== undefined
  ? start({ after }, "node", 20).then(({ metricsUrl }) => metricsUrl)
  : "";

// Most of the time the pages wait for their next reading.
suite("the live page", { concurrency: true }, () => {
  for (const runtime of RUNTIMES) {
    test(
      `${runtime}: the figures of one method are Prometheus' for the same data`,
      options,
      async (t) => {
        const { metricsUrl, makeCalls } = await start(t, runtime, 1);
        const real = await RunningPrometheus.start(t, prometheus!, { page: [metricsUrl] });
        const live = await LivePage.open(t, browser!, metricsUrl);
        const query = (query: string) =>
          eventually(async () => {
            const [value] = await real.query(query);
            assert.ok(value !== undefined, query);
            return value;
          }, 20_000);
        const method = '{grpc_method="page.Test/M0"}';
        // The range is longer than the test takes, so it holds the first scrape.
        const atFirst = (series: string) => `min_over_time(${series}[10m])`;
        await live.read(2);
        await eventually(async () => {
          assert.ok(
            await query(`count_over_time(grpc_server_call_started_total${method}[1m])`) >= 2,
          );
        }, 20_000);

        await makeCalls();
        await live.read(2);
        await live.pause();
        const seconds = await live.seconds();
        for (
          const [heading, side, attempt] of [
            ["Server", "grpc_server_call", "grpc_server_call"],
            ["Client", "grpc_client_call", "grpc_client_attempt"],
          ] as const
        ) {
          const count = `${side}_duration_seconds_count${method}`;
          const row = (await live.rows(heading))["page.Test/M0"]!;
          const ended = await eventually(async () => {
            const ended = await query(`sum(${count})`);
            assert.equal(row["Calls/s"]![1], `${number(ended)} in all`);
            return ended;
          });
          const before = await query(`sum(${atFirst(count)})`);
          assert.ok(ended - before >= 64, `${ended} ${before}`);
          assertClose(row["Calls/s"]![0], (ended - before) / seconds);

          const failed = await query(`sum(${count.replace("}", ',grpc_status="UNAVAILABLE"}')})`);
          const failedBefore = await query(
            `sum(${atFirst(count.replace("}", ',grpc_status="UNAVAILABLE"}'))})`,
          );
          const [errors, all, byStatus, ...others] = row["Errors/s"]!;
          assertClose(errors, (failed - failedBefore) / seconds);
          assert.equal(all, `${number(failed)} in all`);
          assert.equal(byStatus, `UNAVAILABLE ${errors}`);
          assert.deepEqual(others, []);

          for (const [column, quantile] of [["p50", 0.5], ["p99", 0.99]] as const) {
            const bucket = `${side}_duration_seconds_bucket${method}`;
            // rate() extrapolates each series by another factor, so its quantiles differ.
            const increase = `${bucket} - ${atFirst(bucket)}`;
            const expected = await query(
              `histogram_quantile(${quantile}, sum by (le) (${increase}))`,
            );
            assert.equal(row[column]![0], duration(expected));
          }

          const inFlight = `sum(${attempt}_started_total${method}) - ` +
            `sum(${attempt}_duration_seconds_count${method})`;
          assert.deepEqual(row["In flight"], [number(await query(inFlight))]);
          assert.deepEqual(row["In flight"], ["1"]);

          for (const [column, direction] of [["Sent/s", "sent"], ["Received/s", "rcvd"]] as const) {
            const sum = `${attempt}_${direction}_total_compressed_message_size_bytes_sum${method}`;
            const now = await query(`sum(${sum})`);
            assert.equal(row[column]![1], `${bytes(now)} in all`);
            assertClose(
              row[column]![0],
              (now - await query(`sum(${atFirst(sum)})`)) / seconds,
            );
          }
        }
        const retries = (await live.rows("Retries"))["page.Test/M0"]!;
        const repeated = await query(`grpc_client_call_retries_sum${method}`);
        assert.equal(retries["Retries/s"]![1], `${number(repeated)} in all`);
        const connections = Object.values(await live.rows("Connections"));
        assert.deepEqual(connections.map((row) => row["Open"]), [["1"]]);
        assert.deepEqual(live.complaints, []);
      },
    );
  }

  for (const runtime of RUNTIMES) {
    test(
      `${runtime}: 300 methods are sorted by traffic, and cost nothing while idle`,
      options,
      async (t) => {
        const { metricsUrl, makeCalls } = await start(t, runtime, 300);
        const live = await LivePage.open(t, browser!, metricsUrl);
        await live.read(2);
        for (const heading of ["Server", "Client"]) {
          const methods = Object.keys(await live.rows(heading)).filter((name) =>
            /M\d+$/.test(name)
          );
          assert.equal(methods.length, 300);
        }
        // The process answers, and nothing in the page changes.
        const changes = live.page.evaluate(countChanges);
        await live.read(1);
        assert.equal(await changes, 0);

        await makeCalls();
        await live.read(2);
        const names = Object.keys(await live.rows("Server"));
        assert.deepEqual(names.slice(0, 4), [0, 1, 2, 3].map((index) => `page.Test/M${index}`));
        assert.deepEqual(live.complaints, []);
      },
    );
  }

  test(
    "rows can be found by keyboard, and nothing is read when nobody looks",
    options,
    async (t) => {
      const metricsUrl = await anyProcess;
      const live = await LivePage.open(t, browser!, metricsUrl);
      await live.read(2);
      await live.page.keyboard.press("Tab");
      await live.page.keyboard.type(" m7");
      assert.deepEqual(Object.keys(await live.rows("Client")), ["page.Test/M7"]);
      assert.equal(await live.text("#matches"), "3 rows");
      await live.page.keyboard.press("Tab");
      await live.page.keyboard.press("Enter");
      assert.equal(await live.text("#status"), "Paused");
      await assertQuiet(live);
      await live.page.keyboard.press("Enter");
      await live.read(1);

      await live.page.evaluate(setVisibility, "hidden");
      await assertQuiet(live);
      await live.page.evaluate(setVisibility, "visible");
      await live.read(2);
      assert.equal(await live.text("#status"), "Live: read every two seconds");
      assert.deepEqual(Object.keys(await live.rows("Server")), ["page.Test/M7"]);
      const { origin } = new URL(metricsUrl);
      assert.deepEqual(live.requests.filter((url) => !url.startsWith(origin)), []);
      assert.deepEqual(live.complaints, []);
    },
  );

  test("no foreign script runs, whatever a method's name is", options, async (t) => {
    const metricsUrl = await anyProcess;
    const live = await LivePage.open(t, browser!, metricsUrl);
    await live.read(2);
    const hostile = "page.Test/<img src=x onerror=alert(1)>";
    const row = (await live.rows("Client"))[hostile]!;
    assert.deepEqual(row["Errors/s"], ["0", "1 in all", "INTERNAL 0"]);
    assert.equal(
      await live.page.evaluate(() => document.querySelectorAll("img, iframe").length),
      0,
    );
    assert.deepEqual(live.complaints, []);
    assert.deepEqual(await live.page.evaluate(attack), [
      "TypeError",
      "TypeError",
      "blocked",
      "blocked",
    ]);
    assert.notEqual(live.complaints.length, 0);
  });

  test(
    "on a phone, in the dark and without a script, everything can be read",
    options,
    async (t) => {
      const metricsUrl = await anyProcess;
      const viewport = { width: 360, height: 740 };
      const phone = await LivePage.open(t, browser!, metricsUrl, { viewport, colorScheme: "dark" });
      await phone.read(2);
      const still = await LivePage.open(t, browser!, metricsUrl, {
        viewport,
        javaScriptEnabled: false,
      });
      for (const live of [phone, still]) {
        const width = await live.page.evaluate(() => document.documentElement.scrollWidth);
        assert.equal(width, 360);
      }
      assert.match(await still.text("main"), /those of the moment when this page was loaded/);
      assert.ok("page.Test/M2" in await still.rows("Server"));
      assert.equal(still.requests.length, 1);
      for (const live of [phone, still]) {
        for (const scheme of ["light", "dark"] as const) {
          await live.page.emulateMedia({ colorScheme: scheme });
          assert.ok(await live.page.evaluate(leastContrast) >= 4.5, scheme);
        }
        assert.deepEqual(await live.page.evaluate(structure), {
          headings: ["H1", "H2", "H2", "H2", "H2", "H2"],
          tablesWithoutCaption: 0,
          cellsWithoutRole: 0,
          liveRegions: 2,
        });
      }
    },
  );
});

/** Compares a number of the page, which is rounded, with another one. */
function assertClose(text: string | undefined, expected: number | string): void {
  const [actual, wanted] = [parse(text), parse(String(expected))];
  assert.ok(Math.abs(actual / wanted - 1) < 0.02, `${text} is not ${expected}`);
}

/** Parses a number with the unit that the page gives it. */
function parse(text = ""): number {
  const units: Record<string, number> = { "": 1, B: 1, kB: 1e3, µs: 1e-6, ms: 1e-3, s: 1 };
  const [, digits = "", unit = ""] = /^([\d.,]+) ?(\D*)$/.exec(text) ?? [];
  return Number(digits.replace(",", "")) * units[unit]!;
}

/** Waits longer than between two readings, and fails if there is one. */
async function assertQuiet(live: LivePage): Promise<void> {
  // A request that had begun may still end.
  await live.page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 500)));
  const before = live.requests.length;
  await live.page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 2500)));
  assert.equal(live.requests.length, before);
}

// The functions below run in the page and can't use anything from this module.

/** Counts changes in the page until after the next reading. */
function countChanges(): Promise<number> {
  return new Promise((resolve) => {
    let changes = 0;
    const observer = new MutationObserver((records) => changes += records.length);
    const all = { attributes: true, characterData: true, childList: true, subtree: true };
    observer.observe(document.body, all);
    setTimeout(() => resolve(changes), 3000);
  });
}

function setVisibility(state: string): void {
  Object.defineProperty(document, "visibilityState", { configurable: true, value: state });
  document.dispatchEvent(new Event("visibilitychange"));
}

/** Tries to run a script as a faulty page would, and returns how each attempt ended. */
async function attack(): Promise<string[]> {
  const outcomes: string[] = [];
  const attempts = [
    () => document.body.innerHTML = "<b>x</b>",
    () => document.createElement("script").text = "window.attacked = true",
    () => location.assign("javascript:window.attacked = true"),
    () => document.body.append(Object.assign(new Image(), { src: "/x.png" })),
  ];
  for (const attempt of attempts) {
    const violation = new Promise((resolve) => {
      addEventListener("securitypolicyviolation", () => resolve("blocked"), { once: true });
      setTimeout(resolve, 2000, "nothing");
    });
    try {
      attempt();
      outcomes.push(String(await violation));
    } catch (error) {
      outcomes.push((error as Error).name);
    }
  }
  if ("attacked" in window) outcomes.push("attacked");
  return outcomes;
}

/** Returns the least contrast of a text with the background (WCAG 2.2, 1.4.3). */
function leastContrast(): number {
  const luminance = (colour: string) => {
    const [r = 0, g = 0, b = 0] = colour.match(/\d+/g)!.map((value) => {
      const share = Number(value) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const back = luminance(getComputedStyle(document.body).backgroundColor);
  const contrasts = [...document.body.querySelectorAll("*")].map((element) => {
    const text = luminance(getComputedStyle(element).color);
    return (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
  });
  return Math.min(...contrasts);
}

/** What a screen reader finds. */
function structure() {
  const count = (selector: string) => document.querySelectorAll(selector).length;
  return {
    headings: [...document.querySelectorAll("h1, h2")].map(({ tagName }) => tagName),
    tablesWithoutCaption: count("table") - count("table[role=table] > caption"),
    cellsWithoutRole: count("td:not([role=cell]), tr:not([role=row])"),
    liveRegions: count("[role=status], [aria-live], output"),
  };
}
