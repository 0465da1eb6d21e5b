/** The scripts over a Unix socket. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, test } from "node:test";
import { PROJECT, run, RUNTIMES, Script, startClient, startServer } from "../support/script.ts";

const folder = mkdtempSync(join(tmpdir(), "unix-socket-"));
after(() => rmSync(folder, { recursive: true }));

for (const runtime of RUNTIMES) {
  // A port's zero would be replaced by the port in use.
  const path = join(folder, `${runtime}:0`);
  const forms = {
    "unix:/path": path,
    "unix:///path": `//${path}`,
    "unix:path": relative(PROJECT, path),
  };
  for (const [form, rest] of Object.entries(forms)) {
    test(`${runtime}: server.ts and client.ts talk over ${form}`, async (t) => {
      const ECHO_ADDR = `unix:${rest}`;
      const { script, address, metricsUrl } = await startServer(t, runtime, { ECHO_ADDR });
      assert.equal(address, ECHO_ADDR);
      const client = await startClient(t, runtime, { ECHO_ADDR, ECHO_COUNT: "1" });
      assert.equal(await client.script.exit(), 0);
      assert.ok(client.script.stdout.includes(`(from ${ECHO_ADDR})`), client.script.stdout);
      const metrics = await (await fetch(metricsUrl)).text();
      assert.match(metrics, /^grpc_server_call_duration_seconds_count\{.*grpc_status="OK".*\} 1$/m);
      assert.equal(await script.stop(), 0);
      assert.ok(!existsSync(path), "the server removes its socket");
      assert.equal(script.stderr + client.script.stderr, "");
    });
  }

  test(`${runtime}: server.ts says what to do when the socket exists`, async (t) => {
    const ECHO_ADDR = `unix:${path}`;
    const first = await startServer(t, runtime, { ECHO_ADDR });
    for (const state of ["in use", "left over"]) {
      if (state === "left over") await first.script.stop("SIGKILL");
      const second = new Script(t, run(runtime, "server.ts"), {
        environment: { ECHO_ADDR, OTEL_EXPORTER_PROMETHEUS_PORT: "0" },
      });
      assert.equal(await second.exit(), 1);
      assert.equal(
        second.stderr,
        `ECHO_ADDR=${ECHO_ADDR}: the socket exists: another server uses it, or one that was killed ` +
          "left it; set another path, or remove the file\n",
      );
      assert.ok(existsSync(path), state);
    }
    rmSync(path);
  });

  test(`${runtime}: client.ts shows the socket as its target`, async (t) => {
    const ECHO_ADDR = `unix:${path}`;
    await startServer(t, runtime, { ECHO_ADDR });
    const client = await startClient(t, runtime, { ECHO_ADDR });
    await client.script.printed(/\(from unix:/);
    const metrics = await (await fetch(client.metricsUrl)).text();
    assert.match(
      metrics,
      new RegExp(`^grpc_client_attempt_started_total\\{.*grpc_target="unix://${path}"`, "m"),
    );
  });
}
