/** Servers under the supervisor's command that docs/reliability.md gives. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/ports.ts";
import { PROJECT, run, RUNTIMES, Script, startClient } from "../support/script.ts";
import type { Owner } from "../support/script.ts";
import { childrenOf } from "./proc.ts";

const DOCUMENTED = "deno run -A server.ts";
const DIED = 128 + constants.signals.SIGKILL;

const [, command = ""] = /```sh\n(until [^]*?)```/.exec(
  readFileSync(join(PROJECT, "docs/reliability.md"), "utf8"),
) ?? [];

for (const runtime of RUNTIMES) {
  test(`${runtime}: a server that dies is back on its port; one that is stopped stays away`, async (t) => {
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

/** The innermost child process: npm's `bun` and `deno` may be wrappers around the real ones. */
function serverOf({ pid }: Script): number {
  let innermost = pid;
  for (let child: number | undefined = pid; child !== undefined; child = childrenOf(child)[0]) {
    innermost = child;
  }
  assert.notEqual(innermost, pid);
  return innermost;
}

/** The shell's child would outlive it. */
async function killIfAlive(supervisor: Script): Promise<void> {
  if (!existsSync(`/proc/${supervisor.pid}`)) return;
  const server = serverOf(supervisor);
  supervisor.signal("SIGKILL");
  process.kill(server, "SIGKILL");
  await eventually(() => assert.ok(!existsSync(`/proc/${server}`)));
}
