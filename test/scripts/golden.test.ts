/**
 * `/metrics` of both scripts after the codelab's seven calls is, line by line, what the codelab's Go
 * programs print. The fixtures hold what those printed, without their `go_*` families.
 */
import grpcJs from "@grpc/grpc-js/package.json" with { type: "json" };
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/ports.ts";
import { scrape } from "../support/scrape.ts";
import { RUNTIMES, startClient, startServer } from "../support/script.ts";

const CALLS = 7;
/** Of the codelab 2000; a JavaScript timer may be early by a millisecond, into the bucket below. */
const DELAY_MS = 2050;

for (const runtime of RUNTIMES) {
  test(`the codelab's seven calls on ${runtime}`, async (t) => {
    // Five digits, as in the codelab: the address is part of the answer and so of its size.
    const address = `:${await freePort()}`;
    const server = await startServer(t, runtime, {
      ECHO_ADDR: address,
      ECHO_DELAY_MS: `${DELAY_MS}`,
    });
    // At once instead of one by one; each worker pauses for an hour after its call.
    const client = await startClient(t, runtime, {
      ECHO_ADDR: address,
      ECHO_CONCURRENCY: `${CALLS}`,
      ECHO_INTERVAL_MS: "3600000",
    });
    const sides = [
      { name: "client", url: client.metricsUrl, ended: "grpc_client_call_duration_seconds_count" },
      { name: "server", url: server.metricsUrl, ended: "grpc_server_call_duration_seconds_count" },
    ];
    for (const { name, url, ended } of sides) {
      const { text, scrapesBefore } = await scrapeWhenSeen(
        url,
        new RegExp(`^${ended}.* ${CALLS}$`, "m"),
      );
      assert.deepEqual(familyNames(text), familyNames(text).toSorted());
      assert.deepEqual(
        comparable(text),
        comparable(asOurs(goText(`codelab-${name}.prom`), address, scrapesBefore)),
      );
    }
  });
}

async function scrapeWhenSeen(url: string, pattern: RegExp) {
  let scrapesBefore = -1;
  const text = await eventually(async () => {
    scrapesBefore += 1;
    const text = await scrape(url);
    assert.match(text, pattern);
    return text;
  }, 30_000);
  return { text, scrapesBefore };
}

function goText(file: string): string {
  return readFileSync(new URL(`fixtures/${file}`, import.meta.url), "utf8");
}

/** Go's text with everything replaced that is known to be different here, and why. */
function asOurs(text: string, address: string, scrapesBefore: number): string {
  return text
    // The implementation is another one, and scopes without a schema don't have an empty label.
    .replaceAll('otel_scope_name="grpc-go"', 'otel_scope_name="grpc-js"')
    .replaceAll('otel_scope_version="1.85.0"', `otel_scope_version="${grpcJs.version}"`)
    .replaceAll('otel_scope_schema_url="",', "")
    // Go dials `:50051`; grpc-js can't, so the script spells it out.
    .replaceAll('grpc_target="dns:///:50051"', `grpc_target="dns:///localhost${address}"`)
    // When Go's server was scraped, an eighth call was under way.
    .replace(/^(grpc_server_call_started_total\{.*\}) 8$/m, `$1 ${CALLS}`)
    // Go's programs were scraped for the first time.
    .replace(/^(promhttp_metric_handler_requests_total\{code="200"\}) 0$/m, `$1 ${scrapesBefore}`);
}

/** The lines to compare: without the runtime's own families, and without what depends on time. */
function comparable(text: string): string[] {
  return text.trimEnd().split("\n")
    .filter((line) => !/^(# (HELP|TYPE) )?(nodejs|v8js)_/.test(line))
    .map((line) =>
      line
        .replace(/^(\w+_duration_seconds_sum\{.*\}) \S+$/, "$1 (time)")
        // The process is another one at each run, and read by a meter here: its samples have a scope.
        .replace(/^(process_\w+).*$/, "$1 (sample)")
        // So is the service.
        .replace(/^target_info\{.*\}/, "target_info{}")
    );
}

function familyNames(text: string): string[] {
  return [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name = ""]) => name);
}
