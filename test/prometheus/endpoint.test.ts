import assert from "node:assert/strict";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { PrometheusReader, startScrapeEndpoint } from "../../prometheus/mod.ts";
import { request } from "./client.ts";

/** Runs a test against an endpoint with one counter. */
async function withEndpoint(
  action: (url: string, reader: PrometheusReader) => Promise<void>,
  host = "127.0.0.1",
): Promise<void> {
  const reader = new PrometheusReader();
  const provider = new MeterProvider({ readers: [reader] });
  provider.getMeter("m", "1").createCounter("calls").add(1);
  const endpoint = await startScrapeEndpoint({ reader, host, port: 0 });
  try {
    await action(endpoint.url, reader);
  } finally {
    await endpoint.close();
  }
}

const COUNTER = 'calls_total{otel_scope_name="m",otel_scope_version="1"} 1\n';

test("a scrape without headers gets uncompressed text in format 0.0.4", () =>
  withEndpoint(async (url) => {
    const { status, headers, rest } = await request(url, "GET /metrics");
    assert.equal(status, 200);
    const type = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    assert.equal(headers.get("content-type"), type);
    assert.equal(headers.get("vary"), "Accept, Accept-Encoding");
    assert.equal(headers.get("content-encoding"), undefined);
    assert.ok(rest.includes(COUNTER), rest);
  }));

test("a response is compressed if the client accepts gzip, but not with q=0", () =>
  withEndpoint(async (url) => {
    const zipped = await request(url, "GET /metrics", "Accept-Encoding: gzip");
    assert.equal(zipped.headers.get("content-encoding"), "gzip");
    const text = gunzipSync(unchunk(zipped.rest)).toString();
    assert.ok(text.includes(COUNTER), text);
    const plain = await request(url, "GET /metrics", "Accept-Encoding: gzip;q=0");
    assert.equal(plain.headers.get("content-encoding"), undefined);
    assert.ok(plain.rest.includes(COUNTER));
  }));

test("HEAD has the headers of GET and no body", () =>
  withEndpoint(async (url) => {
    for (const path of ["/metrics", "/", "/-/healthy"]) {
      const head = await request(url, `HEAD ${path}`);
      const get = await request(url, `GET ${path}`);
      assert.equal(head.status, 200);
      assert.equal(head.rest, "");
      assert.equal(head.headers.get("content-type"), get.headers.get("content-type"));
    }
  }));

test("scrapes are counted after they are answered, including HEAD requests", () =>
  withEndpoint(async (url) => {
    const first = await (await fetch(url)).text();
    assert.match(first, /^promhttp_metric_handler_requests_total\{code="200"\} 0$/m);
    assert.match(first, /^promhttp_metric_handler_requests_in_flight 1$/m);
    await request(url, "HEAD /metrics");
    await request(url, "GET /-/healthy");
    const third = await (await fetch(url)).text();
    assert.match(third, /^promhttp_metric_handler_requests_total\{code="200"\} 2$/m);
    assert.match(third, /^promhttp_metric_handler_requests_in_flight 1$/m);
  }));

test("name[] selects families, as in promhttp; other parameters are ignored", () =>
  withEndpoint(async (url) => {
    const some = await (await fetch(`${url}?name[]=calls_total&name%5B%5D=target_info`)).text();
    assert.deepEqual(some.match(/^# TYPE \w+/gm), ["# TYPE calls_total", "# TYPE target_info"]);
    const none = await fetch(`${url}?name[]=nothing`, {
      headers: { accept: "application/openmetrics-text;version=1.0.0" },
    });
    assert.equal(await none.text(), "# EOF\n");
    const all = await request(url, "GET /metrics?x=y%20z&&=");
    assert.ok(all.rest.includes(COUNTER));
  }));

test("the index links to the other pages", () =>
  withEndpoint(async (url) => {
    const index = await request(url, "GET /");
    assert.equal(index.headers.get("content-type"), "text/html; charset=utf-8");
    const links = [...index.rest.matchAll(/href="([^"]+)"/g)].map(([, path]) => path);
    assert.deepEqual(links, ["/metrics", "/-/healthy"]);
    for (const path of links) assert.equal((await request(url, `GET ${path}`)).status, 200);
  }));

test("other spellings of the paths are not found", () =>
  withEndpoint(async (url) => {
    const paths = [
      "/metric",
      "/metrics/",
      "//metrics",
      "/metrics/../metrics",
      "/./metrics",
      "/%6detrics",
      "/METRICS",
      "/-/ready",
      "/favicon.ico",
      "/metrics#x",
      "/metrics%00",
    ];
    for (const path of paths) {
      const { status, rest } = await request(url, `GET ${path}`);
      assert.equal(status, 404, path);
      assert.equal(rest, "404 page not found\n");
    }
    assert.equal((await request(url, "POST /nothing")).status, 404);
  }));

test("the request line may contain the authority, as a proxy sends it", () =>
  withEndpoint(async (url) => {
    const { status, rest } = await request(url, "GET http://example.org/metrics?a=b");
    assert.equal(status, 200);
    assert.ok(rest.includes(COUNTER));
  }));

test("methods that change something are not allowed", () =>
  withEndpoint(async (url) => {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
      for (const path of ["/metrics", "/", "/-/healthy"]) {
        const { status, headers } = await request(url, `${method} ${path}`, "Content-Length: 0");
        assert.equal(status, 405);
        assert.equal(headers.get("allow"), "GET, HEAD");
      }
    }
  }));

test("a port in use rejects with the runtime's error", () =>
  withEndpoint(async (url, reader) => {
    const port = Number(new URL(url).port);
    const starting = startScrapeEndpoint({ reader, host: "127.0.0.1", port });
    await assert.rejects(starting, { code: "EADDRINUSE" });
    const invalid = startScrapeEndpoint({ reader, host: "127.0.0.1", port: 65536 });
    await assert.rejects(invalid, RangeError);
  }));

test(
  "the URL has brackets around an IPv6 address",
  { skip: !(await hasIpv6()) },
  () =>
    withEndpoint(async (url) => {
      assert.match(url, /^http:\/\/\[::1\]:\d+\/metrics$/);
      assert.ok((await (await fetch(url)).text()).includes(COUNTER));
    }, "::1"),
);

test("a closed endpoint does not listen, and its port is free again", async () => {
  const reader = new PrometheusReader();
  new MeterProvider({ readers: [reader] });
  const first = await startScrapeEndpoint({ reader, host: "127.0.0.1", port: 0 });
  const port = Number(new URL(first.url).port);
  assert.ok(port > 0);
  assert.equal((await fetch(first.url)).status, 200);
  await first.close();
  await first.close();
  await assert.rejects(fetch(first.url));
  const second = await startScrapeEndpoint({ reader, host: "127.0.0.1", port });
  assert.equal(second.url, first.url);
  await second.close();
});

async function hasIpv6(): Promise<boolean> {
  try {
    const reader = new PrometheusReader();
    await (await startScrapeEndpoint({ reader, host: "::1", port: 0 })).close();
    return true;
  } catch {
    return false;
  }
}

/** Returns the body of a chunked response, which is given as Latin-1. */
function unchunk(rest: string): Uint8Array {
  const parts: string[] = [];
  for (let at = 0;;) {
    const end = rest.indexOf("\r\n", at);
    const length = parseInt(rest.slice(at, end), 16);
    if (!(length > 0)) break;
    parts.push(rest.slice(end + 2, end + 2 + length));
    at = end + 2 + length + 2;
  }
  return Uint8Array.from(parts.join(""), (char) => char.charCodeAt(0));
}
