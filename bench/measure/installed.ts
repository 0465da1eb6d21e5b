import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "../../npm/build.ts";
import { PEERS } from "../../npm/manifest.ts";
import { pack } from "../../npm/pack.ts";
import { runStep } from "../../stack/build-step.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const FOLDER = join(PROJECT, ".cache", "bench", "installed");
const PROGRAMS = ["service.mjs", "register.mjs", "sdk.mjs"] as const;

/** What the programs import besides the package. */
const BESIDES = [
  ...Object.keys(PEERS),
  "@opentelemetry/sdk-metrics",
  "@opentelemetry/exporter-prometheus",
];

/** A program of `bench/installed`. */
export type InstalledProgram = typeof PROGRAMS[number];

/**
 * Builds and packs the package, and installs it in a project of its own with the programs of
 * `bench/installed`.
 *
 * @returns The path of each program.
 * @throws {Error} with npm's output when the installation fails.
 */
export async function installPackage(): Promise<Record<InstalledProgram, string>> {
  const dist = join(PROJECT, ".cache", "bench", "dist");
  await build(dist);
  await rm(FOLDER, { recursive: true, force: true });
  await mkdir(FOLDER, { recursive: true });
  await writeFile(join(FOLDER, "package.json"), '{ "private": true, "type": "module" }\n');
  const { dependencies } = JSON.parse(await readFile(join(PROJECT, "package.json"), "utf8"));
  const quietly = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
  await runStep(
    "Installing the package",
    [
      ...["npm", "install", ...quietly, await pack(dist, FOLDER)],
      ...BESIDES.map((name) => `${name}@${dependencies[name]}`),
    ],
    { folder: FOLDER, environment: {}, progress: { log: console.error } },
  );
  const paths = PROGRAMS.map((name) => [name, join(FOLDER, name)] as const);
  for (const [name, path] of paths) await copyFile(join(PROJECT, "bench/installed", name), path);
  return Object.fromEntries(paths) as Record<InstalledProgram, string>;
}
