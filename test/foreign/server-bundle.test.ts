/** `server.ts` in one file: its protos are beside it or embedded, and its other services work. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { newFolder } from "../package/program.ts";
import { installedTarball } from "../package/tarball.ts";
import { echoClient, unary } from "../support/echo.ts";
import { scrape } from "../support/scrape.ts";
import { PROJECT, run, RUNTIMES, Script } from "../support/script.ts";
import { healthOf, reflectionOf } from "../support/server-services.ts";
import { skipWithout } from "../tools.ts";
import { installedProjects } from "./projects.ts";

const execute = promisify(execFile);
const ECHO = "grpc.examples.echo.Echo";
const bundlers = (await installedProjects(await installedTarball(), ["bundlers"]))("bundlers");
const skip = skipWithout(bundlers, "the package registry");

/** An ES module has neither `require` nor `__dirname`, which the CommonJS modules in it use. */
const COMMON_JS = 'import { createRequire } from "node:module"; ' +
  "const require = createRequire(import.meta.url), __dirname = import.meta.dirname;";

suite("esbuild, with the protos beside", { skip }, () => {
  for (const runtime of RUNTIMES) {
    test(`on ${runtime}`, async (t) => {
      const folder = newFolder(t, tmpdir());
      const bin = join(folder, "build/bin");
      await execute(join(bundlers!, "node_modules/.bin/esbuild"), [
        ...["server.ts", "--bundle", "--platform=node", "--format=esm", "--minify"],
        ...[`--banner:js=${COMMON_JS}`, `--outfile=${bin}/server.mjs`, "--log-level=error"],
      ], { cwd: PROJECT });
      cpSync(join(PROJECT, "echo.proto"), join(bin, "echo.proto"));
      // Both packages look for theirs two folders up.
      for (const protos of ["grpc-health-check/proto", "@grpc/reflection/build/proto"]) {
        cpSync(join(PROJECT, "node_modules", protos), join(folder, "proto"), { recursive: true });
      }
      await assertServes(t, bin, run(runtime, "server.mjs"));
    });
  }
});

test("bun build", async (t) => {
  const folder = newFolder(t, tmpdir());
  const build = ["build", "server.ts", "--target=bun", "--minify", `--outfile=${folder}/server.js`];
  await execute("bun", build, { cwd: PROJECT });
  cpSync(join(PROJECT, "echo.proto"), join(folder, "echo.proto"));
  await assertServes(t, folder, run("bun", "server.js"));
});

test("bun build --compile, with the proto embedded", async (t) => {
  const folder = newFolder(t, tmpdir());
  await execute("bun", [
    ...["build", "--compile", "--minify", "server.ts", "./echo.proto"],
    ...["--asset-naming=[name].[ext]", `--outfile=${folder}/server`],
  ], { cwd: PROJECT });
  await assertServes(t, folder, ["./server"]);
});

/** Asserts that a server answers calls, health checks and reflection, and counts them. */
async function assertServes(
  t: TestContext,
  cwd: string,
  command: readonly string[],
): Promise<void> {
  const environment = {
    ECHO_ADDR: "127.0.0.1:0",
    ECHO_DELAY_MS: "0",
    OTEL_EXPORTER_PROMETHEUS_PORT: "0",
  };
  const script = new Script(t, command, { cwd, environment });
  const address = await script.printed(/^Serving on (.+)\n/m);
  const client = echoClient(address, {});
  assert.match(await unary(client, "hello"), /^hello /);
  client.close();
  assert.deepEqual(await healthOf(address, ["", ECHO]), ["SERVING", "SERVING"]);
  const { services, file } = await reflectionOf(address, ECHO);
  assert.ok(services.includes(ECHO), services.join());
  assert.match(Buffer.from(file).toString("latin1"), /BidirectionalStreamingEcho/);

  const metrics = await scrape(await script.printed(/^Metrics at (.+)\n/m));
  assert.match(
    metrics,
    /^grpc_server_call_started_total\{.*grpc_method="grpc.examples.echo.Echo\/UnaryEcho".*\} 1$/m,
  );
  assert.equal(await script.stop(), 0);
  assert.equal(script.stderr, "");
}
