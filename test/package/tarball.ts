/**
 * The package as it is published: built, packed, and installed from the tarball in a project of its
 * own. Kept in the folder `.cache` until a file that it is built from changes.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, globSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import project from "../../package.json" with { type: "json" };
import runtimes from "../../runtimes/package.json" with { type: "json" };
import { build } from "../../npm/build.ts";
import { PEERS } from "../../npm/manifest.ts";
import { pack } from "../../npm/pack.ts";
import { installTools, npm } from "../../npm/tools.ts";
import { PROJECT } from "../support/script.ts";

const CACHE = join(PROJECT, ".cache");
const QUIETLY = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"];
const SOURCES = [
  ...["plugin", "prometheus", "telemetry", "telemetry.ts", "tls", "log", "npm"],
  ...["package.json", "tsconfig.json", "README.md", "LICENSE"],
];

const exactVersions: Readonly<Record<string, string>> = project.dependencies;

/** What the project has besides: the peers, the SDK, and the types of Node. */
const BESIDES = [
  ...[...Object.keys(PEERS), "@opentelemetry/sdk-metrics"]
    .map((name) => `${name}@${exactVersions[name]}`),
  `@types/node@${runtimes.devDependencies["@types/node"]}`,
];

export interface Package {
  /** The folder that was packed. */
  readonly dist: string;
  readonly tarball: string;
  /** A CommonJS project that has installed the tarball, its peers and the SDK. */
  readonly installed: string;
}

/**
 * Builds, packs and installs the package.
 *
 * @returns Undefined if the package registry cannot be reached.
 */
export async function installedTarball(): Promise<Package | undefined> {
  const folder = join(CACHE, `package-${hashOfSources()}`);
  if (!existsSync(folder)) {
    if (!await succeeds(installTools())) return undefined;
    for (const old of globSync("package-*", { cwd: CACHE })) {
      await rm(join(CACHE, old), { recursive: true, force: true });
    }
    await mkdir(CACHE, { recursive: true });
    const unfinished = await mkdtemp(join(CACHE, "unfinished-package-"));
    try {
      await build(join(unfinished, "dist"));
      const tarball = await pack(join(unfinished, "dist"), unfinished);
      const project = join(unfinished, "installed");
      await mkdir(project);
      await writeFile(join(project, "package.json"), '{ "private": true, "type": "commonjs" }\n');
      if (!await succeeds(npm(project, "install", ...QUIETLY, tarball, ...BESIDES))) {
        return undefined;
      }
      // Two test processes may do this at the same time; the first one wins.
      await rename(unfinished, folder).catch(() => {});
    } finally {
      await rm(unfinished, { recursive: true, force: true });
    }
  }
  return {
    dist: join(folder, "dist"),
    tarball: join(folder, `${project.name}-${project.version}.tgz`),
    installed: join(folder, "installed"),
  };
}

async function succeeds(task: Promise<unknown>): Promise<boolean> {
  return await task.then(() => true, () => false);
}

function hashOfSources(): string {
  const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard", ...SOURCES], {
    cwd: PROJECT,
    encoding: "utf8",
  }).trim().split("\n").filter((file) => existsSync(join(PROJECT, file)));
  const hash = createHash("sha256");
  for (const file of files) hash.update(file).update(readFileSync(join(PROJECT, file)));
  return hash.digest("hex").slice(0, 12);
}
