import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import type { Stats } from "node:fs";
import { open, stat } from "node:fs/promises";

/** The largest file that is read, in bytes. The authorities of a whole system take a quarter of it. */
export const MAX_FILE_BYTES = 1_048_576;
const CHUNK_BYTES = 65_536;

/** Keeps an open of a pipe from waiting for a writer. Windows has neither the flag nor the wait. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** A file that exists but cannot serve, for a reason that its permissions do not show. */
export class UnfitFileError extends Error {
  override readonly name = "UnfitFileError";
  /** What is wrong and what to do, in one line without the path. */
  readonly reason: string;

  /** @param path The file, if it is known. */
  constructor(reason: string, path?: string) {
    super(path === undefined ? reason : `${path}: ${reason}`);
    this.reason = reason;
  }
}

/**
 * Reads a regular file, or one that symbolic links lead to. Anything else is refused without being
 * opened: a pipe blocks, some devices never end, and neither can be read again.
 *
 * @throws {UnfitFileError} if it is not a regular file, or has more than {@linkcode MAX_FILE_BYTES}
 * @throws {Error} the runtime's error if it cannot be read
 */
export function readRegularFileSync(path: string): Buffer {
  checkKind(path, statSync(path));
  const file = openSync(path, FLAGS);
  try {
    // Another file may have taken its place.
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

/** Does what {@linkcode readRegularFileSync} does, without blocking. */
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
