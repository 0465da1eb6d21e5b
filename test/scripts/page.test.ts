/** The page at / of the port of the scripts' metrics. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RUNTIMES, startServer } from "../support/script.ts";

async function page(metricsUrl: string): Promise<string> {
  return await (await fetch(new URL("/", metricsUrl))).text();
}

for (const runtime of RUNTIMES) {
  test(`${runtime}: / is a live page, unless it is switched off`, async (t) => {
    const [on, off] = await Promise.all([
      startServer(t, runtime),
      startServer(t, runtime, { GRPC_METRICS_PAGE: "false" }),
    ]);
    const text = await page(on.metricsUrl);
    assert.match(text, /<h1 id="title">echo-server<\/h1>/);
    for (const fact of ["Instance", "Runtime", "Up since"]) assert.ok(text.includes(fact), fact);
    assert.match(text, /<script>/);
    assert.doesNotMatch(await page(off.metricsUrl), /<script|echo-server/);
  });
}
