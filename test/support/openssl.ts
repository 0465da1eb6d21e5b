import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Owner } from "./script.ts";

/** Starts `openssl s_server`. Returns its port once it listens. */
export function opensslServer(owner: Owner, ...args: string[]): Promise<number> {
  const server = start(owner, "s_server", "-accept", "127.0.0.1:0", ...args);
  return new Promise((resolve, reject) => {
    let output = "";
    const read = (chunk: Buffer) => {
      output += chunk;
      const port = /^ACCEPT .*:(\d+)$/m.exec(output)?.[1];
      if (port !== undefined) resolve(Number(port));
    };
    server.stdout!.on("data", read);
    server.stderr!.on("data", read);
    server.on("exit", () => reject(new Error(`openssl s_server ended: ${output}`)));
  });
}

/** Connects with `openssl s_client`, which ends by itself if the handshake fails. */
export function opensslClient(owner: Owner, port: number, ...args: string[]): ChildProcess {
  return start(owner, "s_client", "-connect", `127.0.0.1:${port}`, ...args);
}

function start(owner: Owner, ...args: string[]): ChildProcess {
  const child = spawn("openssl", args, { stdio: "pipe" });
  // A peer that has ended takes no more input.
  child.stdin.on("error", () => {});
  child.stdout.resume();
  child.stderr.resume();
  owner.after(async () => {
    if (child.exitCode === null && child.signalCode === null && child.kill()) {
      await once(child, "exit");
    }
  });
  return child;
}
