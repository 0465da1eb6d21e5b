/** Programs that know nothing of telemetry, started with `grpc-js-opentelemetry/register`. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { suite, test } from "node:test";
import type { TestContext } from "node:test";
import { exportedMetrics } from "../foreign/otlp-metrics.ts";
import { finished, startProgram } from "../foreign/pushed.ts";
import { RecordingReceiver } from "../scripts/recording-receiver.ts";
import { eventually } from "../support/eventually.ts";
import { RUNTIMES, Script } from "../support/script.ts";
import type { Environment, Runtime } from "../support/script.ts";
import { seriesOf } from "../support/series.ts";
import type { Metric } from "../support/series.ts";
import { skipWithout } from "../tools.ts";
import { copyProgram, newFolder } from "./program.ts";
import { installedTarball } from "./tarball.ts";

const built = await installedTarball();
const skip = skipWithout(built?.tarball, "the package registry");

const REGISTER = "grpc-js-opentelemetry/register";

/** Returns the command that starts a program with telemetry. */
function registered(runtime: Runtime, ...program: string[]): string[] {
  const runner = {
    node: ["node", "--import", REGISTER],
    bun: ["bun", "--preload", REGISTER],
    deno: ["deno", "run", "-A", "--preload", "./preload.mjs"],
  }[runtime];
  return [...runner, "plain-app.mjs", ...program];
}

/** Returns a folder with the program and the installed package. */
function programFolder(t: TestContext): string {
  const folder = newFolder(t, built!.installed);
  copyProgram("plain-app.mjs", folder);
  writeFileSync(join(folder, "preload.mjs"), `import "${REGISTER}";\n`);
  return folder;
}

/** Starts the program with `/metrics`, on any free port by default. */
function startScraped(
  t: TestContext,
  runtime: Runtime,
  action: string,
  environment: Environment = {},
): Script {
  return new Script(t, registered(runtime, action), {
    cwd: programFolder(t),
    environment: { OTEL_EXPORTER_PROMETHEUS_PORT: "0", NO_COLOR: "1", ...environment },
  });
}

/** Returns a port that is in use until the test ends. */
async function usedPort(t: TestContext): Promise<number> {
  const other = createServer().listen(0, "127.0.0.1");
  t.after(() => other.close());
  await eventually(() => assert.ok(other.listening));
  return (other.address() as AddressInfo).port;
}

/** Asserts that three calls with 5 bytes in each direction are recorded on both sides. */
function assertThreeCalls(metrics: readonly Metric[]): void {
  const method = "method=test.Service/Call";
  const ended = `{${method},status=OK}`;
  assert.deepEqual(seriesOf(metrics), {
    [`grpc.client.attempt.started{${method}}`]: "3",
    [`grpc.client.attempt.duration${ended}`]: "3",
    [`grpc.client.attempt.sent_total_compressed_message_size${ended}`]: "3 (15)",
    [`grpc.client.attempt.rcvd_total_compressed_message_size${ended}`]: "3 (15)",
    [`grpc.client.call.duration${ended}`]: "3",
    [`grpc.server.call.started{${method}}`]: "3",
    [`grpc.server.call.duration${ended}`]: "3",
    [`grpc.server.call.sent_total_compressed_message_size${ended}`]: "3 (15)",
    [`grpc.server.call.rcvd_total_compressed_message_size${ended}`]: "3 (15)",
  });
}

const PUSHED = /^telemetry: metrics at http:\/\/localhost:\d+\/v1\/metrics \(http\/json\), .*\n$/;
const SCRAPED = /^telemetry: metrics at (http:\/\/127\.0\.0\.1:\d+\/metrics)\n/m;

for (const runtime of RUNTIMES) {
  suite(`a program that is registered on ${runtime}`, { skip, concurrency: 3 }, () => {
    test("is scraped, and prints on standard error only", async (t) => {
      const script = startScraped(t, runtime, "stay");
      const url = await script.printedError(SCRAPED);
      await script.printed(/called/);
      const text = await (await fetch(url)).text();
      for (const name of ["grpc_client_attempt_started_total", "grpc_server_call_started_total"]) {
        assert.match(text, new RegExp(`^${name}{grpc_method="test.Service/Call",.*} 3$`, "m"));
      }
      assert.match(
        text,
        new RegExp(`^target_info{.*service_name="unknown_service:${runtime}"`, "m"),
      );
      assert.equal(script.stdout, "called\n");
    });

    test("pushes at its end, which keeps its exit code", async (t) => {
      const { script, requests } = await startProgram(
        t,
        programFolder(t),
        registered(runtime, "exit-3"),
      );
      assert.equal(await script.exit(), 3, script.stderr);
      assert.match(script.stderr, PUSHED);
      assert.equal(script.stdout, "called\n");
      assertThreeCalls(exportedMetrics(requests));
    });

    test("pushes when it is stopped, and ends by the signal", async (t) => {
      const { script, requests } = await startProgram(
        t,
        programFolder(t),
        registered(runtime, "stay"),
      );
      await script.printed(/called/);
      const end = await script.stop();
      assert.ok(["SIGTERM", 143].includes(end), `${end}`);
      assertThreeCalls(exportedMetrics(requests));
    });

    test("handles signals itself if it does without telemetry", async (t) => {
      const { script, requests } = await startProgram(
        t,
        programFolder(t),
        registered(runtime, "end-at-sigterm"),
      );
      await script.printed(/called/);
      assert.equal(await script.stop(), 0);
      assertThreeCalls(exportedMetrics(requests));
    });

    test("does not wait for a Collector that is silent until the export gives up", async (t) => {
      const receiver = await RecordingReceiver.start(t, "http/json");
      receiver.answers = false;
      const script = new Script(t, registered(runtime, "end"), {
        cwd: programFolder(t),
        environment: {
          OTEL_METRICS_EXPORTER: "otlp",
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://${receiver.host}`,
          OTEL_EXPORTER_OTLP_TIMEOUT: "60000",
        },
      });
      // The end takes 5 seconds, and an export a minute.
      assert.equal(await script.exit(30_000), 0);
      assert.match(script.stderr, /the last metrics could not be delivered/);
    });

    for (const protocol of ["grpc", "http/protobuf"] as const) {
      test(`pushes metrics and spans over ${protocol}`, async (t) => {
        const receiver = await RecordingReceiver.start(t, protocol);
        const script = new Script(t, registered(runtime, "end"), {
          cwd: programFolder(t),
          environment: {
            OTEL_METRICS_EXPORTER: "otlp",
            OTEL_TRACES_EXPORTER: "otlp",
            OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
            OTEL_EXPORTER_OTLP_ENDPOINT: `http://${receiver.host}`,
          },
        });
        assert.equal(await script.exit(), 0, script.stderr);
        const signals = receiver.requests.map(({ path }) => /metrics|trace/.exec(path)?.[0]);
        assert.deepEqual(new Set(signals), new Set(["metrics", "trace"]), script.stderr);
      });
    }

    test("is named and located by its traces if it has no metrics", async (t) => {
      const { script } = await startProgram(t, programFolder(t), registered(runtime, "end"), {
        OTEL_METRICS_EXPORTER: "none",
        OTEL_TRACES_EXPORTER: "otlp",
      });
      assert.equal(await script.exit(), 0);
      assert.match(script.stderr, /^telemetry: traces at http:\/\/localhost:\d+\/v1\/traces .*\n$/);
    });

    test("runs without telemetry if a package of it is missing", async (t) => {
      const folder = programFolder(t);
      writeFileSync(join(folder, "broken.mjs"), 'import "./missing-package.mjs";\n');
      const code = readFileSync(join(built!.dist, "register.js"), "utf8");
      writeFileSync(
        join(folder, "preload.mjs"),
        code.replace(/import\("\.\/register\/zero-code[^"]*"\)/, 'import("./broken.mjs")'),
      );
      const command = registered(runtime, "end").map((part) =>
        part === REGISTER ? "./preload.mjs" : part
      );
      const script = new Script(t, command, { cwd: folder });
      assert.equal(await script.exit(), 0);
      assert.equal(script.stdout, "called\n");
      assert.match(script.stderr, /^telemetry is off: .*missing-package/);
    });

    test("ends with its own error", async (t) => {
      const script = startScraped(t, runtime, "throw");
      assert.equal(await script.exit(), 1);
      assert.match(script.stderr, /the program's own/);
    });

    test("runs without telemetry if a variable is bad", async (t) => {
      const script = startScraped(t, runtime, "end", { OTEL_METRIC_EXPORT_INTERVAL: "soon" });
      assert.equal(await script.exit(), 0);
      assert.equal(script.stdout, "called\n");
      assert.equal(
        script.stderr,
        'OTEL_METRIC_EXPORT_INTERVAL="soon": must be a whole number of milliseconds from 1 to ' +
          "2147483647\n",
      );
    });

    test("runs without telemetry if its only exporter cannot start", async (t) => {
      const port = await usedPort(t);
      const script = startScraped(t, runtime, "end", { OTEL_EXPORTER_PROMETHEUS_PORT: `${port}` });
      assert.equal(await script.exit(), 0);
      assert.equal(script.stdout, "called\n");
      assert.match(script.stderr, new RegExp(`^OTEL_EXPORTER_PROMETHEUS_PORT=${port}: .*\n$`));
    });

    test("goes on with other exporters if a port is in use", async (t) => {
      const port = await usedPort(t);
      const program = await startProgram(t, programFolder(t), registered(runtime, "end"), {
        OTEL_METRICS_EXPORTER: "prometheus,otlp",
        OTEL_EXPORTER_PROMETHEUS_PORT: `${port}`,
      });
      assert.equal(await program.script.exit(), 0);
      assert.match(
        program.script.stderr,
        new RegExp(`^OTEL_EXPORTER_PROMETHEUS_PORT=${port}: .*\n`),
      );
      assertThreeCalls(exportedMetrics(program.requests));
    });

    test("prints and records nothing if telemetry is switched off", async (t) => {
      const program = await startProgram(t, programFolder(t), registered(runtime, "end"), {
        OTEL_SDK_DISABLED: "true",
      });
      assert.deepEqual(await finished(program), []);
      assert.deepEqual(program.requests, []);
    });

    for (const action of ["fork", "cluster", "worker"]) {
      // Deno preloads neither in threads nor in processes that a program starts, Bun not in threads.
      const inherits = runtime === "node" || (runtime === "bun" && action !== "worker");
      test(`says where the metrics of each part are (${action})`, async (t) => {
        const first = createServer().listen(0, "127.0.0.1");
        await eventually(() => assert.ok(first.listening));
        const { port } = first.address() as AddressInfo;
        first.close();
        const script = startScraped(t, runtime, action, {
          OTEL_EXPORTER_PROMETHEUS_PORT: `${port}`,
        });
        assert.equal(await script.exit(), 0, script.stderr);
        const urls = script.stderr.match(/^telemetry: metrics at .*$/gm) ?? [];
        assert.equal(new Set(urls).size, inherits ? 2 : 1, script.stderr);
        assert.equal(script.stdout, "called\n".repeat(2));
      });
    }
  });
}

suite("a program that is registered", { skip }, () => {
  test("with --require and --import is registered once", async (t) => {
    const folder = programFolder(t);
    const command = ["node", "--require", REGISTER, "--import", REGISTER, "plain-app.mjs"];
    const { script, requests } = await startProgram(t, folder, command);
    assert.equal(await script.exit(), 0);
    assert.match(script.stderr, PUSHED);
    assertThreeCalls(exportedMetrics(requests));
  });

  test("with NODE_OPTIONS is recorded", async (t) => {
    const { script, requests } = await startProgram(
      t,
      programFolder(t),
      ["node", "plain-app.mjs"],
      { NODE_OPTIONS: `--import=${REGISTER}` },
    );
    assert.equal(await script.exit(), 0);
    assertThreeCalls(exportedMetrics(requests));
  });

  test("with Bun's configuration is recorded", async (t) => {
    const folder = programFolder(t);
    writeFileSync(join(folder, "bunfig.toml"), `preload = ["${REGISTER}"]\n`);
    const { script, requests } = await startProgram(t, folder, ["bun", "plain-app.mjs"]);
    assert.equal(await script.exit(), 0);
    assertThreeCalls(exportedMetrics(requests));
  });
});
