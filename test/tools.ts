// Programs that tests use but no npm package holds. Each is looked for, then installed where that
// can be done unasked; a test without its tool is skipped, except in CI, where it fails.

import { execFile } from "node:child_process";
import { mkdir, rename, rm } from "node:fs/promises";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { findExecutable, isExecutable } from "../stack/executable.ts";

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL("../.cache/", import.meta.url));
const APT_OPTIONS = { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
const PARSER = "prometheus-client==0.26.0";

/**
 * Prometheus' own checker.
 *
 * @returns what to execute; undefined when it can't be had
 */
export function promtool(): Promise<string | undefined> {
  return programOfPackage("promtool", "prometheus");
}

/**
 * The browser.
 *
 * @returns what to execute; undefined when it can't be had
 */
export function chromium(): Promise<string | undefined> {
  return programOfPackage("chromium", "chromium");
}

/**
 * A Python that has `prometheus_client`, whose OpenMetrics parser is a strict one. It lives in the
 * folder `.cache`.
 *
 * @returns what to execute; undefined when there is no Python 3 or no package registry
 */
export async function openMetricsParser(): Promise<string | undefined> {
  const home = `${CACHE}openmetrics-parser`;
  const python = `${home}/bin/python`;
  if (await isExecutable(python)) return python;
  const unfinished = `${home}-${process.pid}`;
  try {
    await mkdir(CACHE, { recursive: true });
    await run("python3", ["-m", "venv", unfinished]);
    await run(`${unfinished}/bin/python`, ["-m", "pip", "install", "--quiet", PARSER]);
    // Two test processes may do this at once: the first one wins.
    await rename(unfinished, home).catch(() => {});
  } catch {
    return undefined;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return await isExecutable(python) ? python : undefined;
}

/**
 * The `skip` option of a test that needs a tool: the reason when the tool is missing.
 *
 * @returns false in CI even then, so that the test fails
 */
export function skipWithout(tool: string | undefined, name: string): string | false {
  return tool !== undefined || process.env["CI"] !== undefined ? false : `${name} is missing`;
}

/**
 * A program of a Debian package, which is installed when the tests run as root on such a system and
 * the program is not on the PATH.
 */
async function programOfPackage(program: string, name: string): Promise<string | undefined> {
  const found = await findExecutable(program);
  if (found !== undefined || process.getuid?.() !== 0) return found;
  const apt = await findExecutable("apt-get");
  if (apt === undefined) return undefined;
  const install = ["install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"];
  try {
    await run(apt, [...install, name], APT_OPTIONS);
  } catch {
    // Most likely there are no package lists yet.
    await run(apt, ["update"], APT_OPTIONS).catch(() => {});
    await run(apt, [...install, name], APT_OPTIONS).catch(() => {});
  }
  return await findExecutable(program);
}
