import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { methodTable } from "../../stack/demo/method-table.ts";
import { PROJECT } from "../support/script.ts";

test("the demo runs the server under Bun and the client under Deno, and ends with what both measured", async () => {
  const { stdout } = await promisify(execFile)("node", ["stack/demo/demo.ts"], {
    timeout: 120_000,
  });
  assert.match(stdout, /^\$ ECHO_ADDR=:\d+ ECHO_DELAY_MS=200 .*bun run server\.ts$/m);
  assert.match(
    stdout,
    /^\$ ECHO_ADDR=:\d+ ECHO_INTERVAL_MS=100 .*deno run -A --quiet client\.ts$/m,
  );
  const replies = stdout.match(
    /^client \| message:"this is examples\/opentelemetry \(from :\d+\)"$/gm,
  );
  assert.ok(replies && replies.length >= 10, stdout);
  for (const side of ["client", "server"]) {
    const table = new RegExp(
      `^The ${side}'s gRPC metrics, from its /metrics\n\nmethod .*\n` +
        "grpc\\.examples\\.echo\\.Echo/UnaryEcho +1[01] +0 +2\\d\\d ms +",
      "m",
    );
    assert.match(stdout, table);
  }

  // Nothing of the scripts comes after the tables, and no address that has ended.
  const end = stdout.slice(stdout.indexOf("The client's gRPC metrics"));
  assert.doesNotMatch(end, /http:|\|/);
  assert.match(end, /^p50 and p99 are interpolated .*\n.*summary above differs: /m);
  assert.match(end, /^Both scripts are stopped, /m);
  const [, next = ""] = /\n\n {2}npm run (\w+)\n$/.exec(end) ?? [];
  const { scripts } = JSON.parse(await readFile(join(PROJECT, "package.json"), "utf8"));
  assert.match(scripts[next], /stack\/stack\.ts$/);
  const readme = await readFile(join(PROJECT, "README.md"), "utf8");
  const [, shown = ""] = /<!-- demo -->\n\n```text\n([^]*?)```/.exec(readme) ?? [];
  const masked = (text: string) => text.replace(/ +\d+(?= )(?: ms)?| +\d+$/gm, " N");
  assert.equal(masked(end.slice(0, end.indexOf("\n\np50"))), masked(shown.trimEnd()));
});

test("the table adds up statuses and interpolates quantiles as PromQL does", () => {
  const series = (status: string, counts: number[]) =>
    ["0.1", "1", "+Inf"].map((le, i) =>
      `grpc_server_call_duration_seconds_bucket{grpc_method="m",grpc_status="${status}",le="${le}"} ${
        counts[i]
      }`
    ).join("\n") +
    `\ngrpc_server_call_duration_seconds_count{grpc_method="m",grpc_status="${status}"} ${
      counts[2]
    }` +
    `\ngrpc_server_call_sent_total_compressed_message_size_bytes_sum{grpc_method="m",grpc_status="${status}"} 7`;
  const text = `${series("OK", [4, 8, 8])}\n${series("UNAVAILABLE", [0, 1, 2])}\n`;
  assert.equal(
    methodTable(text, "grpc_server"),
    [
      "method  calls  errors     p50     p99  bytes sent  bytes received",
      "m          10       2  280 ms  1.00 s          14               0",
    ].join("\n"),
  );
});
