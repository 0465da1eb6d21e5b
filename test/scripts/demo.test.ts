import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { methodTable } from "../../stack/demo/method-table.ts";

test("the demo runs the server under Bun and the client under Deno, and shows what both measured", async () => {
  const { stdout } = await promisify(execFile)("node", ["stack/demo/demo.ts"], {
    timeout: 120_000,
  });
  assert.match(stdout, /^\$ bun run server\.ts$/m);
  assert.match(stdout, /^\$ deno run -A --quiet client\.ts$/m);
  const replies = stdout.match(
    /^client \| message:"this is examples\/opentelemetry \(from :\d+\)"$/gm,
  );
  assert.ok(replies && replies.length >= 10, stdout);
  for (const side of ["client", "server"]) {
    const table = new RegExp(
      `^The ${side}'s gRPC metrics, from http://127\\.0\\.0\\.1:\\d+/metrics\n\nmethod .*\n` +
        "grpc\\.examples\\.echo\\.Echo/UnaryEcho +1[01] +0 +2\\d\\d ms +",
      "m",
    );
    assert.match(stdout, table);
  }
  assert.match(stdout, /^p50 and p99 are interpolated .*\n.*summary below differs: /m);
  assert.match(stdout, /^Both scripts are stopped\. /m);
  const [, afterStop = ""] = stdout.split("Both scripts are stopped");
  assert.doesNotMatch(afterStop, /http:|\|/, "nothing that has ended is offered");
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
