import grpcJs from "@grpc/grpc-js/package.json" with { type: "json" };
import { execFile } from "node:child_process";
import { cpus, totalmem } from "node:os";
import { promisify } from "node:util";
import { RUNTIME_NAMES } from "./program.ts";

/** The machine and the versions that figures depend on. */
export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  /** Versions of the runtimes and of grpc-js. */
  readonly versions: Readonly<Record<string, string>>;
}

/** Returns a description of this machine and the installed versions. */
export async function describeMachine(): Promise<Machine> {
  const versions: Record<string, string> = { "@grpc/grpc-js": grpcJs.version };
  for (const runtime of RUNTIME_NAMES) {
    const { stdout } = await promisify(execFile)(runtime, ["--version"]);
    versions[runtime] = /\d+\.\d+\.\d+/.exec(stdout)![0];
  }
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]!.model,
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    versions,
  };
}
