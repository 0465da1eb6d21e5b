/**
 * Programs that tests use and that are not in npm packages. Each is searched for, then installed if
 * that needs no permission. A test without its tool is skipped, except in CI, where it fails.
 *
 * @module
 */
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
 * Finds or installs Prometheus' tool for checking rules and metrics.
 *
 * @returns The path of the program; undefined if it is not available.
 */
export function promtool(): Promise<string | undefined> {
  return programOfPackage("promtool", "prometheus");
}

/**
 * Finds or installs the browser.
 *
 * @returns The path of the program; undefined if it is not available.
 */
export function chromium(): Promise<string | undefined> {
  return programOfPackage("chromium", "chromium");
}

/**
 * Finds or installs the storage for Prometheus' metrics.
 *
 * @returns The path of the program; undefined if it is not available.
 */
export function victoriaMetrics(): Promise<string | undefined> {
  return programOfPackage("victoria-metrics", "victoria-metrics");
}

/**
 * Installs a Python environment with `prometheus_client`, which has a strict OpenMetrics parser, in
 * the folder `.cache`.
 *
 * @returns The path of `python`; undefined if there is no Python 3 or no package registry.
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
    // Two test processes may do this at the same time; the first one wins.
    await rename(unfinished, home).catch(() => {});
  } catch {
    return undefined;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return await isExecutable(python) ? python : undefined;
}

/**
 * Returns the `skip` option of a test that needs a tool: the reason if the tool is missing. In CI it is
 * always false, so that the test fails.
 */
export function skipWithout(tool: string | undefined, name: string): string | false {
  return tool !== undefined || process.env["CI"] !== undefined ? false : `${name} is missing`;
}

/**
 * Finds a program on the PATH, or installs its Debian package if the tests run as root on a system
 * with `apt-get`.
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
    // Most likely the package lists are missing.
    await run(apt, ["update"], APT_OPTIONS).catch(() => {});
    await run(apt, [...install, name], APT_OPTIONS).catch(() => {});
  }
  return await findExecutable(program);
}
