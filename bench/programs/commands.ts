import { createInterface } from "node:readline";

/** What a measured program can be asked, by the first word of a line; it gets the second one. */
export type Commands = Readonly<Record<string, (argument: string) => unknown>>;

/**
 * Answers each line of standard input with a line of JSON. The process ends with its input, so that
 * none is left behind when whoever measures it dies.
 *
 * @param ready What the first line says, before anything was asked.
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

/** CPU time of all threads of this process so far, in microseconds. */
export function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
