import { createInterface } from "node:readline";

/** The commands of a measured program by name. Each receives the second word of the input line. */
export type Commands = Readonly<Record<string, (argument: string) => unknown>>;

/**
 * Answers each line of standard input with a line of JSON. The process exits when its input closes,
 * so that it does not outlive the benchmark.
 *
 * @param ready The value of the first line, which is printed before any command.
 */
export function answerCommands(ready: unknown, commands: Commands): void {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const [command = "", argument = ""] = line.split(" ");
    console.log(JSON.stringify(await commands[command]?.(argument) ?? null));
  });
  lines.on("close", () => process.exit(0));
  console.log(JSON.stringify(ready));
}

/** Returns the CPU time of all threads of this process so far, in microseconds. */
export function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
