/** Standard output and error that are not read, are closed, or have a full disk. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { suite, test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/ports.ts";
import { run, RUNTIMES, Script, startClient, startServer } from "../support/script.ts";
import type { Environment, Owner } from "../support/script.ts";

/** An environment in which everything is printed. */
const TALKATIVE: Environment = {
  OTEL_METRICS_EXPORTER: "console",
  OTEL_TRACES_EXPORTER: "console",
  OTEL_METRIC_EXPORT_INTERVAL: "20",
  OTEL_METRIC_EXPORT_TIMEOUT: "20",
  OTEL_LOG_LEVEL: "all",
};

const PACE: Environment = { ECHO_INTERVAL_MS: "10" };

const OUTPUTS = ["stdout", "stderr"] as const;
const REDIRECTIONS = [">/dev/full", "2>/dev/full", ">&- 2>&-", "<&- >&- 2>&-"];
const withoutFullDevice = existsSync("/dev/full") ? false : "there is no /dev/full";

/** Returns a command with its outputs redirected by the shell. */
function redirected(command: readonly string[], redirection: string): string[] {
  return ["sh", "-c", `exec "$@" ${redirection}`, "sh", ...command];
}

/** Waits until a server listens at the address. */
async function listens(port: number): Promise<void> {
  await eventually(async () => {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    socket.destroy();
  }, 30_000);
}

/** Fails unless a server answers calls and then stops cleanly. */
async function assertServes(owner: Owner, server: Script, address: string): Promise<void> {
  const { script } = await startClient(owner, "node", {
    ...PACE,
    ECHO_ADDR: address,
    ECHO_COUNT: "20",
  });
  assert.equal(await script.exit(), 0, script.stderr);
  assert.match(script.stdout, /^ {2}Succeeded {2}20$/m);
  assert.equal(await server.stop(), 0);
}

for (const runtime of RUNTIMES) {
  suite(runtime, { concurrency: 2 }, () => {
    for (const output of OUTPUTS) {
      test(`the server continues when its ${output} is not read`, async (t) => {
        const { script, address } = await startServer(t, runtime, TALKATIVE);
        await script.stopReading(output);
        await assertServes(t, script, address);
      });
    }

    for (const redirection of REDIRECTIONS) {
      test(`the server continues with ${redirection}`, { skip: withoutFullDevice }, async (t) => {
        const port = await freePort();
        const address = `127.0.0.1:${port}`;
        const script = new Script(t, redirected(run(runtime, "server.ts"), redirection), {
          environment: { ...TALKATIVE, ECHO_ADDR: address, ECHO_DELAY_MS: "0" },
        });
        await listens(port);
        await assertServes(t, script, address);
      });

      test(`the client continues with ${redirection}`, { skip: withoutFullDevice }, async (t) => {
        const { address } = await startServer(t, runtime);
        const script = new Script(t, redirected(run(runtime, "client.ts"), redirection), {
          environment: { ...TALKATIVE, ...PACE, ECHO_ADDR: address, ECHO_COUNT: "20" },
        });
        assert.equal(await script.exit(), 0);
      });
    }

    test("the client ends when its replies are not read", async (t) => {
      const { address } = await startServer(t, runtime);
      const { script } = await startClient(t, runtime, { ...PACE, ECHO_ADDR: address });
      await script.printed(/^message:/m);
      await script.stopReading("stdout");
      assert.equal(await script.exit(), 0);
    });

    test("the client continues when its errors are not read", async (t) => {
      const { script } = await startClient(t, runtime, {
        ...PACE,
        ECHO_ADDR: `127.0.0.1:${await freePort()}`,
        ECHO_DURATION_S: "3",
        OTEL_LOG_LEVEL: "all",
      });
      await script.printedError(/^UNAVAILABLE: /m);
      await script.stopReading("stderr");
      await script.printed(/^ {2}UNAVAILABLE {2}\d+$/m);
      assert.equal(await script.exit(), 1);
    });

    for (const output of OUTPUTS) {
      test(`telemetry does not end a program whose ${output} is not read`, async (t) => {
        const script = new Script(t, run(runtime, "test/scripts/embedding-program.ts"), {
          environment: TALKATIVE,
        });
        await script.printed(/^Ready$/m);
        await script.stopReading(output);
        assert.equal(await script.stop(), 7);
      });
    }

    for (const redirection of REDIRECTIONS.filter((text) => text.includes("full"))) {
      test(`telemetry does not end a program with ${redirection}`, {
        skip: withoutFullDevice,
      }, async (t) => {
        const program = run(runtime, "test/scripts/embedding-program.ts", "now");
        const script = new Script(t, redirected(program, redirection), { environment: TALKATIVE });
        assert.equal(await script.exit(), 7);
      });
    }
  });
}

test("the demo continues when its output is not read", async (t) => {
  const script = new Script(t, ["node", "stack/demo/demo.ts"]);
  await script.printed(/^server \| Serving/m);
  await script.stopReading("stdout");
  assert.equal(await script.exit(), 0, script.stderr);
});
