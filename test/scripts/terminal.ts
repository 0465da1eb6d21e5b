import { spawnSync } from "node:child_process";
import { Script } from "../support/script.ts";
import type { Environment, Owner } from "../support/script.ts";

/**
 * Runs a command to its end on a pseudo-terminal, which the program `script` of util-linux provides.
 *
 * @param command The command. No part may contain characters that are special to a shell.
 * @returns The output, with each clearing of a line as `<clear>`.
 */
export async function onTerminal(
  owner: Owner,
  command: readonly string[],
  environment: Environment,
): Promise<string> {
  const script = new Script(owner, ["script", "-qec", command.join(" "), "/dev/null"], {
    environment: { TERM: "xterm", ...environment },
  });
  await script.exit();
  return script.stdout.replaceAll("\r\x1b[K", "<clear>");
}

/** Returns why tests that need a pseudo-terminal are skipped; false if they can run. */
export function withoutTerminal(): string | false {
  const { stdout } = spawnSync("script", ["--version"], { encoding: "utf8" });
  return stdout?.includes("util-linux") ? false : "util-linux's script is missing";
}
