/**
 * After the codelab's seven calls, `/metrics` of both scripts equals that of the codelab's Go programs
 * line by line. The fixtures hold the output of the Go programs, without their `go_*` families.
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
/** The codelab has 2000, but an early JavaScript timer could fall into the bucket below. */
const DELAY_MS = 2050;

for (const runtime of RUNTIMES) {
  test(`the codelab's seven calls on ${runtime}`, async (t) => {
    // Five digits, as in the codelab, because the address is part of the reply and of its size.
    const address = `:${await freePort()}`;
    const server = await startServer(t, runtime, {
      ECHO_ADDR: address,
      ECHO_DELAY_MS: `${DELAY_MS}`,
    });
    // All calls at once instead of one by one; each worker pauses for an hour after its call.
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

/** Returns Go's text with the known differences replaced, each with its reason. */
function asOurs(text: string, address: string, scrapesBefore: number): string {
  return text
    // The scope has another name, and no empty label for a missing schema.
    .replaceAll('otel_scope_name="grpc-go"', 'otel_scope_name="grpc-js"')
    .replaceAll('otel_scope_version="1.85.0"', `otel_scope_version="${grpcJs.version}"`)
    .replaceAll('otel_scope_schema_url="",', "")
    // Go dials `:50051`; grpc-js can't, so the script spells it out.
    .replaceAll('grpc_target="dns:///:50051"', `grpc_target="dns:///localhost${address}"`)
    // An eighth call was in progress when Go's server was scraped.
    .replace(/^(grpc_server_call_started_total\{.*\}) 8$/m, `$1 ${CALLS}`)
    // The Go programs were scraped for the first time.
    .replace(/^(promhttp_metric_handler_requests_total\{code="200"\}) 0$/m, `$1 ${scrapesBefore}`);
}

/** Returns the lines to compare, without families of the runtime and values that depend on time. */
function comparable(text: string): string[] {
  return text.trimEnd().split("\n")
    .filter((line) => !/^(# (HELP|TYPE) )?(nodejs|v8js)_/.test(line))
    .map((line) =>
      line
        .replace(/^(\w+_duration_seconds_sum\{.*\}) \S+$/, "$1 (time)")
        // Process values differ in each run, and have a scope here because a meter records them.
        .replace(/^(process_\w+).*$/, "$1 (sample)")
        // The service differs too.
        .replace(/^target_info\{.*\}/, "target_info{}")
    );
}

function familyNames(text: string): string[] {
  return [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name = ""]) => name);
}
