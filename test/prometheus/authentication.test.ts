import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import type { AuthenticationFiles } from "../../prometheus/mod.ts";
import { PrometheusReader, startScrapeEndpoint } from "../../prometheus/mod.ts";
import { eventually } from "../support/eventually.ts";
import { request, sendRaw } from "./client.ts";
import { warningsOf } from "./warnings.ts";

const folder = mkdtempSync(join(tmpdir(), "authentication-"));
after(() => rmSync(folder, { recursive: true }));

let files = 0;
/** Creates a file and returns its path. */
function file(content: string | Uint8Array): string {
  const path = join(folder, String(files++));
  writeFileSync(path, content);
  return path;
}

async function withEndpoint(
  authentication: AuthenticationFiles,
  action: (url: string) => Promise<void>,
): Promise<void> {
  const reader = new PrometheusReader();
  const provider = new MeterProvider({ readers: [reader] });
  provider.getMeter("m").createCounter("calls").add(1);
  const options = { reader, host: "127.0.0.1", port: 0, authentication };
  const endpoint = await startScrapeEndpoint(options);
  try {
    await action(endpoint.url);
  } finally {
    await endpoint.close();
  }
}

/** Returns the status of a GET request with an `Authorization` header. */
async function statusWith(url: string, authorization: string): Promise<number> {
  return (await request(url, "GET /metrics", `Authorization: ${authorization}`)).status;
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

test("a request without a secret gets 401, for every path and method", () =>
  withEndpoint({ bearerToken: file("s3cret\n") }, async (url) => {
    for (
      const line of ["GET /metrics", "GET /", "GET /-/healthy", "GET /nothing", "POST /metrics"]
    ) {
      const { status, headers, rest } = await request(url, line);
      assert.equal(status, 401, line);
      assert.equal(headers.get("www-authenticate"), 'Bearer realm="metrics"');
      assert.equal(rest, "Unauthorized\n");
    }
  }));

test("only the exact token is accepted", () =>
  withEndpoint({ bearerToken: file("s3cret\n") }, async (url) => {
    const { status, rest } = await request(url, "GET /metrics", "Authorization: Bearer s3cret");
    assert.equal(status, 200);
    assert.match(rest, /^calls_total\{.*\} 1$/m);
    assert.equal(await statusWith(url, "bearer s3cret"), 200);
    const wrong = [
      "Bearer s3cre",
      "Bearer s3cret1",
      "Bearer S3CRET",
      "Bearer",
      "Bearer  ",
      "Bearer s3cret s3cret",
      "s3cret",
      `Basic ${base64("s3cret")}`,
      `Basic ${base64("s3cret:")}`,
      `Bearer ${base64("s3cret")}`,
    ];
    for (const authorization of wrong) {
      assert.equal(await statusWith(url, authorization), 401, authorization);
    }
  }));

test("only the exact name and password are accepted", () =>
  withEndpoint({ user: file("prometheus:pass:wörd \r\n") }, async (url) => {
    assert.equal(await statusWith(url, `Basic ${base64("prometheus:pass:wörd ")}`), 200);
    const wrong = ["prometheus:pass", "prometheus:pass:wörd", "Prometheus:pass:wörd ", "", ":"];
    for (const user of wrong) assert.equal(await statusWith(url, `Basic ${base64(user)}`), 401);
    assert.equal(await statusWith(url, "Bearer prometheus:pass:wörd"), 401);
    const { headers } = await request(url, "GET /metrics");
    assert.equal(headers.get("www-authenticate"), 'Basic realm="metrics", charset="UTF-8"');
  }));

test("a byte order mark is not part of a secret", () =>
  withEndpoint({ bearerToken: file("\ufefft\r\n"), user: file("\ufeffme:pw\r\n") }, async (url) => {
    assert.equal(await statusWith(url, "Bearer t"), 200);
    assert.equal(await statusWith(url, `Basic ${base64("me:pw")}`), 200);
    assert.equal(await statusWith(url, `Basic ${base64("\ufeffme:pw")}`), 401);
  }));

test("either of two secrets is accepted", () =>
  withEndpoint({ bearerToken: file("token"), user: file("me:password") }, async (url) => {
    assert.equal(await statusWith(url, "Bearer token"), 200);
    assert.equal(await statusWith(url, `Basic ${base64("me:password")}`), 200);
    assert.equal(await statusWith(url, "Bearer password"), 401);
  }));

test("a new token in the file replaces the old one, and no token is logged", async () => {
  const path = file("old-token");
  await withEndpoint({ bearerToken: path }, async (url) => {
    const warnings = await warningsOf(async () => {
      writeFileSync(path, "new-token");
      await eventually(
        async () => assert.equal(await statusWith(url, "Bearer new-token"), 200),
        30_000,
      );
      assert.equal(await statusWith(url, "Bearer old-token"), 401);
      writeFileSync(path, "two tokens");
      await eventually(async () => {
        assert.equal(await statusWith(url, "Bearer new-token"), 200);
        assert.equal(await statusWith(url, "Bearer two"), 401);
      });
    });
    assert.doesNotMatch(warnings.join("\n"), /token|two/);
  });
});

test("a file without a secret is refused at the start", async () => {
  for (const content of ["", "\n", "two words", "zwölf"]) {
    await assert.rejects(
      withEndpoint({ bearerToken: file(content) }, async () => {}),
      /it must hold one token$/,
    );
  }
  for (const content of ["", "nobody", ":password", "me:", "me:a\nyou:b"]) {
    await assert.rejects(
      withEndpoint({ user: file(content) }, async () => {}),
      /it must hold one line, name:password$/,
    );
  }
  const latin1 = Buffer.from("me:p\xe4", "latin1");
  for (const files of [{ user: file(latin1) }, { bearerToken: file(latin1) }]) {
    await assert.rejects(withEndpoint(files, async () => {}), /it is not in UTF-8/);
  }
  await assert.rejects(
    withEndpoint({ user: file(Buffer.from("me:pw", "utf16le")) }, async () => {}),
    /it has control characters/,
  );
});

test("no kind of request bypasses authentication", () =>
  withEndpoint({ bearerToken: file("secret") }, async (url) => {
    const ways = [
      ["GET /metrics", "Expect: 100-continue"],
      ["GET /metrics", "Expect: junk"],
      ["POST /metrics", "Expect: 100-continue", "Content-Length: 5"],
      ["GET /metrics", "Connection: Upgrade", "Upgrade: websocket"],
      ["GET /metrics", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"],
      ["GET /metrics", "Connection: Upgrade", "Upgrade: websocket", "Expect: junk"],
      ["GET http://localhost/metrics"],
      ["TRACE /metrics"],
    ];
    for (const [line = "", ...headers] of ways) {
      const message = [`${line} HTTP/1.1`, "Host: localhost", ...headers, "", ""].join("\r\n");
      // The first refusal closes the connection, so there is only one response.
      const { status, rest } = await sendRaw(url, message.repeat(40));
      assert.deepEqual([status, rest], [401, "Unauthorized\n"], message);
    }
  }));
