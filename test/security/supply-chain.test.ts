/** Installed packages are pinned by hash, come from the registry, and are documented. */
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

/** A package in npm's lockfile. */
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
    test("each package has a hash and comes from the registry", () => {
      assert.ok(locked(lockfile).length > 0);
      for (const [path, { integrity, resolved }] of locked(lockfile)) {
        assert.match(integrity ?? "", /^sha512-[A-Za-z0-9+/]{86}==$/, path);
        // Without an address, npm uses the configured registry.
        assert.equal(resolved, undefined, path);
      }
    });

    // The runtimes are installed with `npm install`, which skips packages that the registry lacks: not
    // every registry has those for all other platforms.
    if (lockfile.startsWith("runtimes/")) return;
    test("it matches package.json", async (t) => {
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

test("the only install script of a dependency is harmless", () => {
  const scripts = installed.filter(([, { hasInstallScript }]) => hasInstallScript);
  // It warns about version ranges. Bun and Deno never run it.
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
    // The peers that a package was resolved with follow its version.
    const name = key.replace(/^(.[^@]*@[^_]+).*$/, "$1");
    assert.equal(integrity, hashes.get(name), key);
  }
});
