/** The live page as the endpoint serves it, before its script runs. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { PrometheusReader, startScrapeEndpoint } from "../../../prometheus/mod.ts";
import type { ScrapeEndpointOptions } from "../../../prometheus/mod.ts";
import { FAMILIES } from "../../../telemetry/page/reader.ts";
import { grpcPage } from "../../../telemetry/page/mod.ts";
import { METRIC_NAMES } from "../../../plugin/metrics/definitions.ts";
import { request } from "../../prometheus/client.ts";
import { RecordedCalls } from "./recorded.ts";

interface Served {
  readonly url: string;
  readonly calls: RecordedCalls;
  /** Returns how often the metrics have been collected. */
  collections(): number;
}

async function withPage(
  action: (served: Served) => Promise<void>,
  options: Partial<ScrapeEndpointOptions> = {},
): Promise<void> {
  const reader = new PrometheusReader();
  const resource = resourceFromAttributes({
    "service.name": "a<b>&'c\"",
    "service.version": "1.2.3",
    "service.instance.id": "</dd><script>alert(1)</script>",
    "process.runtime.name": "x",
    "process.runtime.version": "9",
  });
  const provider = new MeterProvider({ readers: [reader], resource });
  let collections = 0;
  const meter = provider.getMeter("grpc-js", "1.14.7");
  meter.createObservableGauge("process.start_time", { unit: "s" }).addCallback((result) => {
    collections++;
    result.observe(1_795_849_811);
  });
  const endpoint = await startScrapeEndpoint({
    reader,
    host: "127.0.0.1",
    port: 0,
    page: grpcPage(),
    ...options,
  });
  try {
    await action({
      url: endpoint.url,
      calls: new RecordedCalls(meter),
      collections: () => collections,
    });
  } finally {
    await endpoint.close();
  }
}

async function get(url: string): Promise<{ headers: Headers; html: string }> {
  const response = await fetch(new URL("/", url));
  assert.equal(response.status, 200);
  return { headers: response.headers, html: await response.text() };
}

test("without a script, the page shows whose metrics these are and their totals", () =>
  withPage(async ({ url, calls }) => {
    for (const _ of Array(3)) calls.record("s.A/Get");
    calls.record("s.A/Get", "UNAVAILABLE");
    calls.start("s.A/Get");
    const { html } = await get(url);
    const text = html.replace(/<(script|style)>.*?<\/\1>/gs, "").replace(/<[^>]+>/g, " ")
      .replace(/\s+/g, " ");
    assert.match(text, /a&lt;b&gt;&amp;&#39;c&quot; Version 1\.2\.3/);
    assert.match(text, /Runtime x 9 gRPC grpc-js 1\.14\.7 Up since 2026-11-28 07:10:11 UTC/);
    assert.match(text, /Server Calls that this process answers, since it started/);
    assert.match(text, /Calls Errors p50 p99 In flight Sent Received/);
    assert.match(text, /s\.A\/ Get 4 1 UNAVAILABLE 1 14\.5 ms 16 ms 1 400 B 400 B/);
    assert.match(text, /interpolated within a bucket/);
    assert.ok(!text.includes("Client"));
    const links = [...html.matchAll(/href="\/([^"]*)"/g)]
      .map(([, link]) => link!.replaceAll("&amp;", "&"));
    assert.equal(links.length, 3);
    for (const link of links) assert.equal((await fetch(new URL(`/${link}`, url))).status, 200);
    assert.ok(links.includes("metrics"));
  }));

test("without calls the page says so", () =>
  withPage(async ({ url }) => {
    assert.match((await get(url)).html, /No gRPC calls have been recorded yet/);
  }));

test("only the page's own script and style may run", () =>
  withPage(async ({ url, calls }) => {
    calls.record("s/M");
    const { headers, html } = await get(url);
    assert.equal(headers.get("content-type"), "text/html; charset=utf-8");
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("cache-control"), "no-store");
    const policy = headers.get("content-security-policy")!;
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
    for (const name of ["script", "style"]) {
      const contents = [...html.matchAll(new RegExp(`<${name}>(.*?)</${name}>`, "gs"))];
      assert.equal(contents.length, 1);
      const hash = createHash("sha256").update(contents[0]![1]!).digest("base64");
      assert.ok(policy.includes(`${name}-src 'sha256-${hash}'`), policy);
    }
    assert.doesNotMatch(html, / style=| on\w+=|src=|https?:\/\/(?!www\.w3\.org\/2000\/svg")/);
  }));

test("names are text, whatever they hold", () =>
  withPage(async ({ url, calls }) => {
    const hostile = [
      "</script><script>alert(1)</script>",
      "<img src=x onerror=alert(1)>",
      '"/&amp;',
    ];
    for (const name of hostile) calls.record(name, name);
    const { html } = await get(url);
    assert.equal(html.match(/<script/g)!.length, 1);
    assert.ok(!html.includes("<img"));
    for (const name of hostile) assert.ok(!html.includes(name), name);
    assert.match(html, /&lt;\/script&gt;&lt;script&gt;alert\(1\)&lt;/);
    assert.match(html, /&lt;img src=x onerror=alert\(1\)&gt; 1</);
  }));

test("a page costs one collection, and HEAD none", () =>
  withPage(async ({ url, collections }) => {
    const { headers } = await get(url);
    assert.equal(collections(), 1);
    const head = await request(url, "HEAD /");
    assert.equal(head.status, 200);
    assert.equal(head.rest, "");
    for (const name of ["content-type", "content-security-policy", "referrer-policy"]) {
      assert.equal(head.headers.get(name), headers.get(name));
    }
    assert.equal(collections(), 1);
    assert.equal((await request(url, "POST /")).status, 405);
  }));

test("the page needs the secret that all paths need", async () => {
  const folder = mkdtempSync(join(tmpdir(), "page-"));
  const file = join(folder, "user");
  writeFileSync(file, "me:secret");
  try {
    await withPage(async ({ url, collections }) => {
      for (const method of ["GET", "HEAD"]) {
        const { status, rest } = await request(url, `${method} /`);
        assert.equal(status, 401);
        assert.doesNotMatch(rest, /<|grpc/);
      }
      assert.equal(collections(), 0);
      const authorization = `Basic ${btoa("me:secret")}`;
      const answer = await request(url, "GET /", `Authorization: ${authorization}`);
      assert.equal(answer.status, 200);
    }, { authentication: { user: file } });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the page is answered as a scrape is, if the metrics cannot be collected", async () => {
  const reader = { collect: () => Promise.reject(new Error("out of order")) };
  await withPage(async ({ url }) => {
    const { status, headers, rest } = await request(url, "GET /");
    assert.equal(status, 500);
    assert.equal(headers.get("content-type"), "text/plain; charset=utf-8");
    assert.match(rest, /out of order/);
    const text = await (await fetch(`${url}?name[]=x`)).text();
    assert.match(text, /out of order/);
  }, { reader });
});

test("without the option, / is a list of links", () =>
  withPage(async ({ url, collections }) => {
    const { headers, html } = await get(url);
    assert.equal(headers.get("content-security-policy"), null);
    assert.doesNotMatch(html, /<script|<table/);
    assert.equal(collections(), 0);
  }, { page: undefined }));

test("the metrics that the page reads are the plugin's, by their names in Prometheus", () => {
  const read = FAMILIES.filter((name) => name.startsWith("grpc_"));
  const plugin = METRIC_NAMES.map((name) => name.replaceAll(".", "_"));
  for (const family of read) assert.ok(plugin.some((name) => family.startsWith(name)), family);
});
