/** @module What both scripts do on the command line: arguments, log and exit. */
import { helpText, StartupError } from "../telemetry/settings/mod.ts";
import { looksSecret } from "../telemetry/settings/secrets.ts";
import { variables } from "./settings.ts";

/**
 * Answers `--help`, and refuses any other argument.
 *
 * @param usage how the script is run, for the first line of the help
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

/** Ends the process with exit code 1 and the lines of a `StartupError`; rethrows other errors. */
export function exitOnStartupError(error: unknown): never {
  if (!(error instanceof StartupError)) throw error;
  console.error(error.message);
  process.exit(1);
}

/**
 * Says what is lost when a script ends before its telemetry has stopped.
 *
 * @param telemetry where the script's metrics and traces go
 * @param callsMayRun whether calls may be in progress
 */
export function undelivered(
  { endpoint, tracesEndpoint }: { endpoint: string; tracesEndpoint: string | undefined },
  callsMayRun: boolean,
): string {
  const losses = callsMayRun ? ["running calls"] : [];
  losses.push(`the latest metrics (${endpoint})`);
  if (tracesEndpoint !== undefined) losses.push(`the latest spans (${tracesEndpoint})`);
  return `not delivered: ${losses.join(", ")}`;
}

/** A logger for grpc-js that prints on standard error. */
export const grpcLog: Pick<Console, "error" | "info" | "debug"> = {
  error: logLine,
  info: logLine,
  debug: logLine,
};

/** If a proxy's URL lacks its scheme, grpc-js takes the user name for the scheme and quotes it. */
function logLine(line: string): void {
  console.error(
    line.endsWith(" scheme not supported in proxy URI")
      ? "grpc_proxy, https_proxy or http_proxy: must be a URL that begins with http://"
      : line,
  );
}
