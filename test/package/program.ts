import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { PROJECT } from "../support/script.ts";
import type { Owner } from "../support/script.ts";

const execute = promisify(execFile);

/** What `record-calls.ts` prints. */
export interface Recorded {
  readonly counts: readonly Record<string, number>[];
  readonly port: number;
}

/** The counts after three calls with 5 bytes in each direction. */
export const THREE_CALLS = {
  grpc_client_attempt_duration_seconds_count: 3,
  grpc_client_attempt_rcvd_total_compressed_message_size_bytes_sum: 15,
  grpc_client_attempt_sent_total_compressed_message_size_bytes_sum: 15,
  grpc_client_attempt_started_total: 3,
  grpc_client_call_duration_seconds_count: 3,
  grpc_server_call_duration_seconds_count: 3,
  grpc_server_call_rcvd_total_compressed_message_size_bytes_sum: 15,
  grpc_server_call_sent_total_compressed_message_size_bytes_sum: 15,
  grpc_server_call_started_total: 3,
};

/** Creates a folder inside another one. It is removed when the owner is done. */
export function newFolder(owner: Owner, parent: string): string {
  const folder = mkdtempSync(join(parent, "copy-"));
  owner.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Copies a program from the folder `programs`. */
export function copyProgram(program: string, folder: string, target: string = program): void {
  copyFileSync(join(PROJECT, "test/package/programs", program), join(folder, target));
}

/** Runs a command and returns the JSON that it printed. Throws if it fails. */
export async function printed<T>(folder: string, [file = "", ...args]: string[]): Promise<T> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { stdout } = await execute(file, args, {
    cwd: folder,
    env: { ...env, NO_COLOR: "1" },
    timeout: 60_000,
  });
  return JSON.parse(stdout);
}
