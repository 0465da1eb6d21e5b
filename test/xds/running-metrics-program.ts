import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { copyInto, installedPackages } from "../support/npm-packages.ts";
import { run, Script } from "../support/script.ts";
import type { Owner } from "../support/script.ts";
import { controlPlaneProgram } from "./control-plane-program.ts";

/** The targets whose calls are recorded. */
export const TARGETS = ["xds:///ejections", "xds:///weights"];

/**
 * Starts `metrics-program.ts` next to the packages that it needs.
 *
 * @returns The URL of its metrics. Undefined if the packages or the control plane are missing.
 */
export async function startMetricsProgram(owner: Owner): Promise<string | undefined> {
  const [packages, program] = await Promise.all([
    installedPackages("test/xds"),
    controlPlaneProgram(),
  ]);
  if (packages === undefined || program === undefined) return undefined;
  const folder = await copyInto(owner, packages, [
    "plugin",
    "prometheus",
    "tls",
    "log",
    "echo.proto",
    "test/support",
    "test/xds",
  ]);
  await writeFile(join(folder, "package.json"), '{ "type": "module" }\n');
  const script = new Script(owner, run("node", "test/xds/metrics-program.ts"), {
    cwd: folder,
    environment: { XDS_CONTROL_PLANE: program },
  });
  return await script.printed(/^metrics: (\S+)$/m);
}
