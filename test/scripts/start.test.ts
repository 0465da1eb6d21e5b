/** How the scripts start, and how they refuse to start. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readSettings, variables } from "../../echo/settings.ts";
import { helpText, variables as telemetryVariables } from "../../telemetry/settings/mod.ts";
import { freePort, occupiedPort } from "../support/ports.ts";
import { run, RUNTIMES, Script } from "../support/script.ts";
import type { Environment, Owner } from "../support/script.ts";

const SCRIPTS = ["server.ts", "client.ts"];

/** Runs a command until it ends. */
async function outcome(owner: Owner, command: readonly string[], environment: Environment = {}) {
  const script = new Script(owner, command, { environment });
  const code = await script.exit();
  return { code, stdout: script.stdout, stderr: script.stderr };
}

for (const runtime of RUNTIMES) {
  test(`${runtime}: telemetry.ts prints the variables`, async (t) => {
    assert.deepEqual(await outcome(t, run(runtime, "telemetry.ts")), {
      code: 0,
      stdout: `${helpText(telemetryVariables)}\n`,
      stderr: "",
    });
  });

  test(`${runtime}: --help and -h print the usage and the variables`, async (t) => {
    assert.deepEqual(await outcome(t, run(runtime, "server.ts", "--help")), {
      code: 0,
      stdout: `Usage: bun run server.ts\n\n${helpText(variables)}\n`,
      stderr: "",
    });
    assert.deepEqual(await outcome(t, run(runtime, "client.ts", "-h")), {
      code: 0,
      stdout: `Usage: deno run -A client.ts\n\n${helpText(variables)}\n`,
      stderr: "",
    });
  });

  for (const script of SCRIPTS) {
    test(`${runtime}: ${script} refuses an argument it does not know`, async (t) => {
      assert.deepEqual(await outcome(t, run(runtime, script, "--port=1")), {
        code: 1,
        stdout: "",
        stderr: "--port=1: not known; settings are environment variables, --help lists them\n",
      });
    });

    test(`${runtime}: ${script} reports all bad variables and starts nothing`, async (t) => {
      // If anything started, it would report that this port is in use.
      const port = await occupiedPort(t);
      const environment = {
        OTEL_EXPORTER_PROMETHEUS_PORT: `${port}`,
        OTEL_METRICS_EXPORTER: "prometheus,graphite",
        OTEL_LOG_LEVEL: "loud",
        ECHO_ADDR: `localhost ${port}`,
        ECHO_COUNT: "ten\n",
      };
      const { code, stdout, stderr } = await outcome(t, run(runtime, script), environment);
      assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
      assert.equal(stderr, `${complaint(environment)}\n`);
      assert.equal(stderr.split("\n").length - 1, 4);
    });

    test(`${runtime}: ${script} says which variable to change when the port of its metrics is in use`, async (t) => {
      const port = await occupiedPort(t, "127.0.0.1");
      const environment = {
        ECHO_ADDR: "127.0.0.1:0",
        OTEL_EXPORTER_PROMETHEUS_PORT: `${port}`,
      };
      assert.deepEqual(await outcome(t, run(runtime, script), environment), {
        code: 1,
        stdout: "",
        stderr: `OTEL_EXPORTER_PROMETHEUS_PORT=${port}: port ${port} of 127.0.0.1 is in use; ` +
          "set another port, or 0 for any free one\n",
      });
    });
  }

  test(`${runtime}: the second worker of a cluster says that each needs a port`, async (t) => {
    const port = await freePort();
    const environment = {
      ECHO_ADDR: "127.0.0.1:0",
      OTEL_EXPORTER_PROMETHEUS_PORT: `${port}`,
    };
    const command = run(runtime, "test/scripts/cluster-program.ts");
    const { code, stderr } = await outcome(t, command, environment);
    assert.deepEqual({ code, stderr }, {
      code: 1,
      stderr: `OTEL_EXPORTER_PROMETHEUS_PORT=${port}: port ${port} of 127.0.0.1 is in use; ` +
        "each worker of a cluster needs another port: set one for each, or 0 for any free one, " +
        "or push with OTEL_METRICS_EXPORTER=otlp\n",
    });
  });

  for (const host of ["", "127.0.0.1"]) {
    test(`${runtime}: server.ts says which variable to change when ${host}:PORT is in use`, async (t) => {
      const address = `${host}:${await occupiedPort(t)}`;
      const environment = { ECHO_ADDR: address, OTEL_EXPORTER_PROMETHEUS_PORT: "0" };
      const { code, stdout, stderr } = await outcome(t, run(runtime, "server.ts"), environment);
      assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
      assert.match(stderr, /^.+\n$/, "one line");
      assert.ok(stderr.startsWith(`ECHO_ADDR=${address}: `), stderr);
      assert.match(stderr, /in use/);
    });
  }
}

/** Returns the error message of {@link readSettings}, whose own tests check the texts. */
function complaint(environment: Environment): string {
  try {
    readSettings(environment);
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}
