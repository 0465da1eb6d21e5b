import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { freePorts } from "../../stack/ports.ts";
import { Service } from "../../stack/service.ts";
import { eventually } from "../support/eventually.ts";
import { freePort, occupiedPort } from "../support/ports.ts";
import { PROJECT, Script } from "../support/script.ts";

/** Starts a service that runs JavaScript code. */
function start(t: TestContext, code: string): { service: Service; lines: string[] } {
  const lines: string[] = [];
  const service = new Service({
    name: "sample",
    command: [process.execPath, "-e", code],
    environment: { GREETING: "hello" },
    log: (line) => lines.push(line),
  });
  t.after(() => {
    service.kill();
    return service.ended;
  });
  return { service, lines };
}

const STAY = "setInterval(() => {}, 1000);";

test(
  "logs the lines of both outputs, including an incomplete last line",
  { timeout: 60_000 },
  async (t) => {
    const { service, lines } = start(
      t,
      `console.error(process.env.GREETING); process.stdout.write(process.cwd())`,
    );
    assert.equal(await service.ended, "exit code 0");
    assert.deepEqual(lines.sort(), [PROJECT.slice(0, -1), "hello"].sort());
  },
);

test(
  "printed() waits for lines and rejects when the service ends first",
  { timeout: 60_000 },
  async (t) => {
    const { service } = start(t, `for (const n of [1, 2, 3]) console.log("line " + n)`);
    const [second, never] = await Promise.allSettled([
      service.printed(/^line (\d)/, 2),
      service.printed(/^line 4/),
    ]);
    assert.deepEqual(second, { status: "fulfilled", value: "2" });
    assert.equal(never.status, "rejected");
    assert.match(String(never.reason), /sample ended too early: exit code 0$/);
  },
);

test(
  "answers() waits until a URL answers with a success status",
  { timeout: 60_000 },
  async (t) => {
    const { service } = start(t, STAY);
    const codes = [503, 404, 200];
    const server = createServer((_, response) => response.writeHead(codes.shift() ?? 500).end());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => void server.close().closeAllConnections());
    await service.answers(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    assert.deepEqual(codes, []);
  },
);

test("answers() rejects when the service ends", { timeout: 60_000 }, async (t) => {
  const { service } = start(t, "process.exitCode = 3");
  await assert.rejects(
    service.answers(`http://127.0.0.1:${await freePort()}/`),
    /sample ended too early: exit code 3$/,
  );
});

test("stop() sends SIGINT and waits for the last line", { timeout: 60_000 }, async (t) => {
  const { service, lines } = start(
    t,
    `process.on("SIGINT", () => { console.log("bye"); process.exit(); }); console.log("up"); ${STAY}`,
  );
  await service.printed(/up/);
  assert.equal(await service.stop(), "exit code 0");
  assert.deepEqual(lines, ["up", "bye"]);
});

test("a service whose program is missing has ended", { timeout: 60_000 }, async () => {
  const service = new Service({ name: "nobody", command: ["no-such-program"], log: assert.fail });
  assert.match(await service.ended, /no-such-program ENOENT/);
  assert.match(await service.stop(), /ENOENT/);
});

test("processes that a wrapper started end with it", { timeout: 60_000 }, async (t) => {
  const { service } = start(
    t,
    `const child = require("node:child_process").spawn(process.execPath, ["-e", "${STAY}"]);
    console.log("child " + child.pid); ${STAY}`,
  );
  const child = Number(await service.printed(/^child (\d+)/));
  process.kill(service.pid!, "SIGKILL");
  assert.equal(await service.ended, "SIGKILL");
  await eventually(() => assert.throws(() => process.kill(child, 0), { code: "ESRCH" }), 30_000);
});

test(
  "a service ends with the process that started it, even after an exception",
  { timeout: 60_000 },
  async (t) => {
    const script = new Script(t, [
      process.execPath,
      "--input-type=module",
      "-e",
      `import { Service } from ${JSON.stringify(new URL("stack/service.ts", `file://${PROJECT}`))};
    const command = [process.execPath, "-e", "${STAY}"];
    const service = new Service({ name: "sample", command, log: () => {} });
    console.log("service " + service.pid);
    setTimeout(() => { throw new Error("by design"); });`,
    ]);
    const pid = Number(await script.printed(/^service (\d+)/));
    assert.equal(await script.exit(), 1);
    await eventually(() => assert.throws(() => process.kill(pid, 0), { code: "ESRCH" }), 30_000);
  },
);

test(
  "freePorts() prefers the given ports unless they are taken, and never repeats one",
  { timeout: 60_000 },
  async (t) => {
    const [free, taken, taken4] = [
      await freePort(),
      await occupiedPort(t),
      await occupiedPort(t, "127.0.0.1"),
    ];
    const ports = await freePorts({ free, same: free, taken, taken4 });
    assert.equal(ports.free, free);
    assert.equal(new Set([...Object.values(ports), taken, taken4]).size, 6);
  },
);
