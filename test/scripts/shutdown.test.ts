/** How the server stops. The tests run at the same time, because they mostly wait. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { suite, test } from "node:test";
import type { TestContext } from "node:test";
import { echoClient, unary } from "../support/echo.ts";
import { eventually } from "../support/eventually.ts";
import { grpcSeries, scrape } from "../support/scrape.ts";
import { RUNTIMES, startServer } from "../support/script.ts";
import type { Runtime } from "../support/script.ts";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

suite("shutdown", { concurrency: true }, () => {
  for (const runtime of RUNTIMES) {
    for (const signal of SIGNALS) {
      test(`${runtime}: ${signal} lets a running call finish, and exits with 0`, async (t) => {
        const { script, address, reply } = await serverWithCall(t, runtime, "2000");
        script.signal(signal);
        await eventuallyRefused(address);
        // A second signal, from an impatient user, changes nothing.
        script.signal(signal);
        assert.equal(await reply, "hello (from 127.0.0.1:0)");
        assert.equal(await script.exit(), 0);
        // The last metrics are still exported.
        assert.match(script.stdout, /grpc\.status["']: ["']OK["']/);
        assert.equal(script.stderr, "");
      });
    }

    test(`${runtime}: SIGTERM ends a call that takes too long, and exits with 0`, async (t) => {
      const { script, reply } = await serverWithCall(t, runtime, "3600000");
      assert.equal(await script.stop("SIGTERM"), 0);
      assert.match(await reply, /^(UNAVAILABLE|CANCELLED)$/);
      assert.match(script.stdout, /grpc\.status["']: ["']CANCELLED["']/);
      assert.equal(script.stderr, "");
    });
  }
});

/** Starts a server with a call in progress that it answers after `delayMs` milliseconds. */
async function serverWithCall(t: TestContext, runtime: Runtime, delayMs: string) {
  const { script, address, metricsUrl } = await startServer(t, runtime, {
    ECHO_DELAY_MS: delayMs,
    OTEL_METRICS_EXPORTER: "prometheus,console",
  });
  const client = echoClient(address, {});
  t.after(() => client.close());
  const reply = unary(client, "hello");
  const [url = ""] = metricsUrl.split(", ");
  const started = 'grpc_server_call_started_total{grpc_method="grpc.examples.echo.Echo/UnaryEcho"';
  await eventually(async () => {
    const keys = Object.keys(grpcSeries(await scrape(url)));
    assert.ok(keys.some((key) => key.startsWith(started)));
  }, 30_000);
  return { script, address, reply };
}

/** Waits until the address refuses connections. */
async function eventuallyRefused(address: string): Promise<void> {
  const [host = "", port] = address.split(":");
  await eventually(async () => {
    const socket = connect(Number(port), host);
    try {
      await assert.rejects(once(socket, "connect"), { code: "ECONNREFUSED" });
    } finally {
      socket.destroy();
    }
  }, 30_000);
}
