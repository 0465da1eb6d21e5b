import { helpText } from "../telemetry/settings/documentation.ts";
import { StartupError } from "../telemetry/settings/read.ts";
import { looksSecret } from "../telemetry/settings/secrets.ts";
import { variables } from "./settings.ts";

/**
 * Answers `--help`, and refuses any other argument.
 *
 * @param usage How the script is run, for the first line of the help.
 */
export function handleArguments(usage: string): void {
  const [argument] = process.argv.slice(2);
  if (argument === undefined) return;
  if (argument === "--help" || argument === "-h") {
    console.log(`Usage: ${usage}\n\n${helpText(variables)}`);
    process.exit(0);
  }
  const shown = looksSecret(argument.replace(/^-+[\w-]+=/, "")) ? "the argument" : argument;
  console.error(`${shown}: not known; settings are environment variables, --help lists them`);
  process.exit(1);
}

/** Ends the process with exit code 1 and the lines of a {@link StartupError}, without a stack. */
export function exitOnStartupError(error: unknown): never {
  if (!(error instanceof StartupError)) throw error;
  console.error(error.message);
  process.exit(1);
}
