import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import type { Stats } from "node:fs";
import { open, stat } from "node:fs/promises";

/** The largest file to read, in bytes: four times the size of a system's authorities. */
export const MAX_FILE_BYTES = 1_048_576;
const CHUNK_BYTES = 65_536;

/** Opening a pipe must not wait for a writer. Windows has neither the flag nor the wait. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** An error about a file that exists and may be readable, but cannot be used. */
export class UnfitFileError extends Error {
  override readonly name = "UnfitFileError";
  /** Says what is wrong and what to do, in one line without the path. */
  readonly reason: string;

  /** @param path the file's path, if it is known */
  constructor(reason: string, path?: string) {
    super(path === undefined ? reason : `${path}: ${reason}`);
    this.reason = reason;
  }
}

/**
 * Reads a regular file, following symbolic links. Refuses anything else without opening it: a pipe
 * blocks, some devices never end, and neither can be read again.
 *
 * @throws {UnfitFileError} if it is a pipe, socket or device, or larger than
 *   {@linkcode MAX_FILE_BYTES}
 * @throws {Error} the runtime's error if it cannot be read, or an error if it is a folder
 */
export function readRegularFileSync(path: string): Buffer {
  checkKind(path, statSync(path));
  const file = openSync(path, FLAGS);
  try {
    // Another file may have replaced it since.
    checkKind(path, fstatSync(file));
    const chunks: Buffer[] = [];
    let length = 0;
    while (length <= MAX_FILE_BYTES) {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      const bytesRead = readSync(file, chunk, 0, CHUNK_BYTES, length);
      if (bytesRead === 0) return Buffer.concat(chunks);
      chunks.push(chunk.subarray(0, bytesRead));
      length += bytesRead;
    }
    throw tooLarge(path);
  } finally {
    closeSync(file);
  }
}

/** Like {@linkcode readRegularFileSync}, without blocking. */
export async function readRegularFile(path: string): Promise<Buffer> {
  checkKind(path, await stat(path));
  const file = await open(path, FLAGS);
  try {
    checkKind(path, await file.stat());
    const chunks: Buffer[] = [];
    let length = 0;
    while (length <= MAX_FILE_BYTES) {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, length);
      if (bytesRead === 0) return Buffer.concat(chunks);
      chunks.push(chunk.subarray(0, bytesRead));
      length += bytesRead;
    }
    throw tooLarge(path);
  } finally {
    await file.close();
  }
}

function checkKind(path: string, stats: Stats): void {
  if (stats.isFile()) return;
  if (stats.isDirectory()) throw new Error(`${path}: it is a folder`);
  const kind = stats.isFIFO() ? "pipe" : stats.isSocket() ? "socket" : "device";
  throw new UnfitFileError(`it is a ${kind}, which cannot be read again: use a regular file`, path);
}

function tooLarge(path: string): UnfitFileError {
  return new UnfitFileError("it is larger than 1 MiB: use a smaller file", path);
}
