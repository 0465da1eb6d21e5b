/** Servers that run under the shell command of docs/reliability.md. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/ports.ts";
import { PROJECT, run, RUNTIMES, Script, startClient } from "../support/script.ts";
import type { Owner } from "../support/script.ts";
import { childrenOf, isRunning } from "./proc.ts";

const DOCUMENTED = "deno run -A server.ts";
const DIED = 128 + constants.signals.SIGKILL;

const [, command = ""] = /```sh\n(until [^]*?)```/.exec(
  readFileSync(join(PROJECT, "docs/reliability.md"), "utf8"),
) ?? [];

for (const runtime of RUNTIMES) {
  test(`${runtime}: a killed server is started again on its port, a stopped server is not`, async (t) => {
    const address = `127.0.0.1:${await freePort()}`;
    t.after(() => killIfAlive(supervisor));
    const supervisor = new Script(
      t,
      ["sh", "-c", command.replace(DOCUMENTED, run(runtime, "server.ts").join(" "))],
      {
        environment: {
          ECHO_ADDR: address,
          ECHO_DELAY_MS: "0",
          OTEL_EXPORTER_PROMETHEUS_PORT: "0",
        },
      },
    );
    await supervisor.printed(/^Serving on/m);
    await callOnce(t, address);

    process.kill(serverOf(supervisor), "SIGKILL");
    await supervisor.printed(/^Serving on[^]*^Serving on/m);
    await callOnce(t, address);
    assert.match(supervisor.stderr, new RegExp(`exit code ${DIED}, starts again\n$`));

    process.kill(serverOf(supervisor), "SIGTERM");
    assert.equal(await supervisor.exit(), 0);
  });
}

async function callOnce(owner: Owner, address: string): Promise<void> {
  const { script } = await startClient(owner, "node", { ECHO_ADDR: address, ECHO_COUNT: "1" });
  assert.equal(await script.exit(), 0);
}

/** The innermost child process: npm's `bun` and `deno` may be wrappers of the real programs. */
function serverOf({ pid }: Script): number {
  let innermost = pid;
  for (let child: number | undefined = pid; child !== undefined; child = childrenOf(child)[0]) {
    innermost = child;
  }
  assert.notEqual(innermost, pid);
  return innermost;
}

/** Kills the server too, because it would outlive the shell. */
async function killIfAlive(supervisor: Script): Promise<void> {
  if (!isRunning(supervisor.pid)) return;
  const server = serverOf(supervisor);
  supervisor.signal("SIGKILL");
  process.kill(server, "SIGKILL");
  await eventually(() => assert.ok(!isRunning(server)));
}
