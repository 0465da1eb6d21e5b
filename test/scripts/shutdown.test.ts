/** How the scripts stop. The tests run at the same time, because they mostly wait. */
import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { suite, test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { echoClient, unary } from "../support/echo.ts";
import { eventually } from "../support/eventually.ts";
import { grpcSeries, scrape } from "../support/scrape.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import { RUNTIMES, startClient, startServer } from "../support/script.ts";
import type { Runtime } from "../support/script.ts";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 };
/** The limit of a graceful stop is 10 s; the machine may be busy. */
const WITHOUT_LIMIT_MS = 5000;
const LATER_MS = 300;

/** Streams of helper services that clients keep open, each with its request. */
const STANDING_STREAMS = [
  ["/grpc.health.v1.Health/Watch", ""],
  ["/grpc.health.v1.Health/Watch", "\x0a\x01x"],
  ["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "\x3a\x00"],
  ["/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "\x3a\x00"],
] as const;
const NOT_SERVING = "\x08\x02";

suite("shutdown", { concurrency: true }, () => {
  for (const runtime of RUNTIMES) {
    for (const signal of SIGNALS) {
      test(`${runtime}: ${signal} lets a running call finish, and exits with 0`, async (t) => {
        const { script, address, reply } = await serverWithCall(t, runtime, "2000");
        script.signal(signal);
        await eventuallyRefused(address);
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

    for (const signal of SIGNALS) {
      test(`${runtime}: a second ${signal} ends the server at once`, async (t) => {
        const { script, address, reply } = await serverWithCall(t, runtime, "3600000");
        script.signal(signal);
        await eventuallyRefused(address);
        // One Ctrl-C may arrive twice; a second one comes later.
        await delay(LATER_MS);
        const started = performance.now();
        assert.equal(await script.stop(signal), EXIT_CODES[signal]);
        assert.ok(performance.now() - started < WITHOUT_LIMIT_MS);
        assert.match(await reply, /^(UNAVAILABLE|CANCELLED)$/);
        assert.match(
          script.stderr,
          new RegExp(
            `^${signal} again, ends at once: not delivered: running calls, ` +
              "the latest metrics \\(http://127\\.0\\.0\\.1:\\d+/metrics, .*\\)\\n$",
          ),
        );
      });
    }

    test(`${runtime}: one signal that arrives twice, as from npm, is one`, async (t) => {
      const { script, reply } = await serverWithCall(t, runtime, "2000");
      script.signal("SIGINT");
      script.signal("SIGINT");
      script.signal("SIGTERM");
      assert.equal(await reply, "hello (from 127.0.0.1:0)");
      assert.equal(await script.exit(), 0);
      assert.equal(script.stderr, "");
    });

    test(`${runtime}: a second signal ends the client at once`, async (t) => {
      const { server, accepted } = await silentReceiver(t);
      const { address } = await startServer(t, runtime);
      const { script } = await startClient(t, runtime, {
        ECHO_ADDR: address,
        ECHO_INTERVAL_MS: "10",
        OTEL_METRICS_EXPORTER: "otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT: server,
        OTEL_METRIC_EXPORT_TIMEOUT: "30000",
      });
      await script.printed(/^message:/m);
      script.signal("SIGTERM");
      await accepted;
      await delay(LATER_MS);
      const started = performance.now();
      assert.equal(await script.stop("SIGINT"), 130);
      assert.ok(performance.now() - started < WITHOUT_LIMIT_MS);
      assert.match(script.stdout, /^Summary:/m);
      assert.match(
        script.stderr,
        /^SIGINT again, ends at once: not delivered: the latest metrics \(http:.*\)\n$/,
      );
    });

    test(`${runtime}: streams of health and reflection don't hold up the end`, async (t) => {
      const { script, address } = await startServer(t, runtime);
      const streams = [];
      for (const [path, request] of STANDING_STREAMS) {
        streams.push(await openStream(t, address, path, request));
      }
      const started = performance.now();
      assert.equal(await script.stop("SIGTERM"), 0);
      assert.ok(performance.now() - started < WITHOUT_LIMIT_MS);
      for (const { status } of streams) assert.equal(await status, grpc.status.OK);
      assert.deepEqual(streams[0]!.messages.slice(1), [NOT_SERVING]);
      assert.equal(script.stderr, "");
    });

    test(`${runtime}: a connection without a TLS handshake holds up the end for 10 s at most`, async (t) => {
      const authority = await CertificateAuthority.create(t, "ca");
      const { certificate, key } = await authority.issue("server");
      const { script, address } = await startServer(t, runtime, {
        GRPC_TLS_CERT: certificate,
        GRPC_TLS_KEY: key,
      });
      const [host = "", port] = address.split(":");
      const socket = connect(Number(port), host).on("error", () => {});
      t.after(() => void socket.destroy());
      await once(socket, "connect");
      assert.equal(await script.stop("SIGTERM"), 0);
      assert.equal(script.stderr, "");
    });
  }
});

/** Opens a stream of a helper service and waits for the first answer. */
async function openStream(t: TestContext, address: string, path: string, request: string) {
  const toBytes = (text: string) => Buffer.from(text, "latin1");
  const toText = (bytes: Buffer) => bytes.toString("latin1");
  const client = new grpc.Client(address, grpc.credentials.createInsecure());
  t.after(() => client.close());
  const call = client.makeBidiStreamRequest(path, toBytes, toText);
  const messages: string[] = [];
  call.on("data", (message: string) => messages.push(message)).on("error", () => {});
  const status = once(call, "status").then(([{ code }]) => code);
  call.write(request);
  // A handler of one request runs when the client has sent all. A reflection client stays.
  if (path.endsWith("/Watch")) call.end();
  await eventually(() => assert.ok(messages.length > 0), 30_000);
  return { messages, status };
}

/** Starts a receiver that accepts connections and never answers. */
async function silentReceiver(
  t: TestContext,
): Promise<{ server: string; accepted: Promise<unknown> }> {
  const server = createServer((socket) => void socket.resume().on("error", () => {}));
  t.after(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { server: `http://127.0.0.1:${port}`, accepted: once(server, "connection") };
}

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
