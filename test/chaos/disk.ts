import { execFile } from "node:child_process";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const SIZE_BYTES = 48 * 2 ** 20;

/** A small file system of its own. Filling it harms no other program. */
export class SmallDisk {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /**
   * Makes an ext4 file system in a file and mounts it.
   *
   * @param folder An empty folder to mount it at.
   * @throws {Error} if this is not Linux, the user is not root, or there are no loop devices.
   */
  static async mount(folder: string): Promise<SmallDisk> {
    const image = `${folder}.img`;
    const file = await open(image, "w");
    await file.truncate(SIZE_BYTES);
    await file.close();
    try {
      await run("mkfs.ext4", ["-q", "-m", "0", image]);
      await run("mount", ["-o", "loop", image, folder]);
    } catch (error) {
      await rm(image);
      throw error;
    }
    return new SmallDisk(folder);
  }

  /** Fills all the space that is left. */
  async fill(): Promise<void> {
    const file = await open(join(this.folder, "filler"), "w");
    try {
      for (let size = 2 ** 20; size >= 512; size /= 2) {
        const block = Buffer.alloc(size, 1);
        while (await file.write(block).then(({ bytesWritten }) => bytesWritten === size, isFull));
      }
      await file.sync().catch(isFull);
    } finally {
      await file.close();
    }
  }

  /** Frees that space again. */
  async free(): Promise<void> {
    await rm(join(this.folder, "filler"), { force: true });
  }

  /** Unmounts it as soon as its last open file is closed. */
  async unmount(): Promise<void> {
    await run("umount", ["--lazy", this.folder]);
    await rm(`${this.folder}.img`);
  }
}

function isFull(error: NodeJS.ErrnoException): false {
  if (error.code === "ENOSPC") return false;
  throw error;
}
