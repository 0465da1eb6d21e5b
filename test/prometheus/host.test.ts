import assert from "node:assert/strict";
import { test } from "node:test";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { hostCheck, isLoopback } from "../../prometheus/host.ts";
import { PrometheusReader, startScrapeEndpoint } from "../../prometheus/mod.ts";
import { sendRaw } from "./client.ts";

const LOCAL = [
  undefined,
  "127.0.0.1",
  "127.0.0.1:9464",
  "127.1",
  "[::1]:9464",
  "[::1]",
  "192.0.2.1:9464",
  "localhost",
  "LOCALHOST:9464",
  "localhost.:9464",
  "metrics.localhost",
  "prometheus:9464",
  "my-host",
];
const FOREIGN = [
  "",
  "evil.example",
  "evil.example:9464",
  "localhost.evil.example",
  "127.0.0.1.evil.example",
  "evil.example/@localhost",
  "localhost@evil.example",
  "evil.example#localhost",
  "evil.localhost.example",
  "evil.example.",
  "a b",
  "localhost:port",
  "[::1",
];

test("an endpoint on loopback allows only addresses and names of the local network", () => {
  for (const address of ["127.0.0.1", "127.0.0.53", "::1", "::ffff:127.0.0.1"]) {
    const allows = hostCheck("localhost", address, undefined);
    for (const header of LOCAL) assert.equal(allows(header), true, String(header));
    for (const header of FOREIGN) assert.equal(allows(header), false, String(header));
  }
});

test("the name to listen on and the names of a list are allowed", () => {
  const allows = hostCheck("My.Host", "127.0.0.1", ["metrics.example.com"]);
  for (const header of ["my.host:1", "metrics.example.com", "Metrics.Example.COM.:80"]) {
    assert.equal(allows(header), true, String(header));
  }
  assert.equal(allows("example.com"), false);
  assert.equal(hostCheck("localhost", "127.0.0.1", ["*"])("evil.example"), true);
});

test("an endpoint on another address allows every name, unless there is a list", () => {
  for (const address of ["0.0.0.0", "::", "192.0.2.1", "1.127.0.0"]) {
    assert.equal(hostCheck(address, address, undefined)("any.example"), true);
    const allows = hostCheck(address, address, ["metrics.example"]);
    assert.equal(allows("any.example"), false);
    assert.equal(allows("metrics.example"), true);
  }
});

test("loopback is 127.0.0.0/8, ::1 and localhost", () => {
  for (const host of ["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1", "LocalHost"]) {
    assert.ok(isLoopback(host), host);
  }
  for (const host of ["0.0.0.0", "::", "128.0.0.1", "127.evil.example", "localhost.example"]) {
    assert.ok(!isLoopback(host), host);
  }
});

test("a request for a foreign host name is refused on every path", async () => {
  const reader = new PrometheusReader();
  new MeterProvider({ readers: [reader] });
  const endpoint = await startScrapeEndpoint({ reader, host: "127.0.0.1", port: 0 });
  try {
    for (const path of ["/metrics", "/", "/-/healthy", "/none"]) {
      const foreign = `GET ${path} HTTP/1.1\r\nHost: evil.example\r\n\r\n`;
      const { status, rest } = await sendRaw(endpoint.url, foreign);
      assert.deepEqual([status, rest], [403, "The request's host name is not an allowed host\n"]);
    }
    const own = "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert.equal((await sendRaw(endpoint.url, own)).status, 200);
  } finally {
    await endpoint.close();
  }
});
