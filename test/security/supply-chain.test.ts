/** What is installed: all of it is pinned by hash, comes from the registry, and is known by name. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite, test } from "node:test";
import { promisify } from "node:util";
import root from "../../package.json" with { type: "json" };
import { PROJECT } from "../support/script.ts";

const run = promisify(execFile);

/** One of the packages in npm's lockfile. */
interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly license?: string;
  readonly hasInstallScript?: boolean;
}

const LOCKFILES = execFileSync("git", ["ls-files", "*package-lock.json"], {
  cwd: PROJECT,
  encoding: "utf8",
}).trim().split("\n");

function locked(lockfile: string): [path: string, LockedPackage][] {
  const { packages } = JSON.parse(readFileSync(join(PROJECT, lockfile), "utf8"));
  return Object.entries<LockedPackage>(packages).filter(([path]) => path !== "");
}

for (const lockfile of LOCKFILES) {
  suite(lockfile, () => {
    test("each package has a hash, and no address but the registry's", () => {
      assert.ok(locked(lockfile).length > 0);
      for (const [path, { integrity, resolved }] of locked(lockfile)) {
        assert.match(integrity ?? "", /^sha512-[A-Za-z0-9+/]{86}==$/, path);
        // Left out, it is that of whichever registry is set.
        assert.equal(resolved, undefined, path);
      }
    });

    // Of the runtimes' packages for other platforms not every registry has all, and npm leaves out
    // what it does not find: there it is `npm install` that is used.
    if (lockfile.startsWith("runtimes/")) return;
    test("it fits package.json", async (t) => {
      const folder = mkdtempSync(join(tmpdir(), "lockfile-"));
      t.after(() => rmSync(folder, { recursive: true }));
      for (const name of ["package.json", "package-lock.json"]) {
        copyFileSync(join(PROJECT, dirname(lockfile), name), join(folder, name));
      }
      await run("npm", ["ci", "--dry-run", "--ignore-scripts", "--offline"], { cwd: folder });
    });
  });
}

const installed = locked("package-lock.json");

test("whoever uses the project runs no install script that does anything", () => {
  const scripts = installed.filter(([, { hasInstallScript }]) => hasInstallScript);
  // This one warns of version ranges; Bun and Deno never run it.
  assert.deepEqual(scripts.map(([path]) => path), ["node_modules/protobufjs"]);
});

test("all licences are permissive", () => {
  const licences = new Set(installed.map(([, { license }]) => license));
  const allowed = new Set(["Apache-2.0", "BSD-3-Clause", "ISC", "MIT"]);
  assert.deepEqual([...licences].filter((license) => !allowed.has(license ?? "none")), []);
});

test("dependencies are exact, and docs/architecture.md says why each is there", () => {
  const page = readFileSync(join(PROJECT, "docs/architecture.md"), "utf8");
  const [table] = /^\| Dependency .*\n(?:\|.*\n)+/m.exec(page) ?? [""];
  const named = [...table.matchAll(/`([^`]+)`/g)].map(([, name]) =>
    new RegExp(`(^|/)${name!.replaceAll(".", "\\.").replaceAll("*", ".+")}$`)
  );
  for (const [name, version] of Object.entries(root.dependencies)) {
    assert.match(version, /^\d+\.\d+\.\d+$/, name);
    assert.ok(
      named.some((pattern) => pattern.test(name)),
      `docs/architecture.md does not name ${name}`,
    );
  }
});

test("Deno's lockfile has the same packages, by hash", () => {
  const { npm } = JSON.parse(readFileSync(join(PROJECT, "deno.lock"), "utf8"));
  const hashes = new Map(installed.map(([path, { version, integrity }]) => [
    `${path.replace(/^.*node_modules\//, "")}@${version}`,
    integrity,
  ]));
  const packages = Object.entries<{ integrity: string }>(npm);
  assert.ok(packages.length > Object.keys(root.dependencies).length);
  for (const [key, { integrity }] of packages) {
    // Peers that a package was resolved with stand after its version.
    const name = key.replace(/^(.[^@]*@[^_]+).*$/, "$1");
    assert.equal(integrity, hashes.get(name), key);
  }
});
