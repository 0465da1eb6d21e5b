// A network file system that hangs: a FUSE file system that never answers.
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { WatchedFiles } from "../../tls/watched-files.ts";
import { eventually } from "../support/eventually.ts";
import { Script } from "../support/script.ts";
import type { Owner } from "../support/script.ts";

const PATIENCE_MS = 30_000;
const skip = process.getuid?.() === 0 && existsSync("/dev/fuse")
  ? false
  : "mounting a file system that hangs needs root and /dev/fuse";

/** Mounts the file system at a folder until the process is killed. */
const HANGING = `
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
folder = sys.argv[1].encode()
if libc.mount(b"hanging", folder, b"fuse", 0, options) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print("mounted", flush=True)
time.sleep(3600)
`;

/** Creates a link to a file, whose reads can be made to hang. */
async function hangingLink(owner: Owner) {
  const folder = mkdtempSync(join(tmpdir(), "hanging-"));
  const [mount, path] = [join(folder, "mount"), join(folder, "link")];
  mkdirSync(mount);
  owner.after(async () => {
    await new Script(owner, ["umount", "-l", mount]).exit();
    await rm(folder, { recursive: true, force: true });
  });
  const mounted = new Script(owner, ["python3", "-c", HANGING, mount]);
  await mounted.printed(/mounted/);
  const lead = (target: string) => {
    symlinkSync(target, `${path}-new`);
    renameSync(`${path}-new`, path);
  };
  return {
    path,
    /** Points the link to a file with this content. */
    write(content: string) {
      const file = join(folder, content);
      writeFileSync(file, content);
      lead(file);
    },
    hang: () => lead(join(mount, "file")),
    /** Makes hanging reads fail. */
    end: () => mounted.stop("SIGKILL"),
  };
}

test("a hanging read is logged once, blocks one thread, and reloading goes on after it", {
  skip,
  timeout: 60_000,
}, async (t) => {
  const link = await hangingLink(t);
  link.write("old");
  const lines: string[] = [];
  const log = {
    info: (line: string) => lines.push(line),
    warn: (line: string) => lines.push(line),
  };
  // More than a runtime has threads.
  const sets = Array.from({ length: 8 }, () => {
    return new WatchedFiles([link.path], ([content]) => String(content), log, {
      pollIntervalMs: 50,
    });
  });
  const stops = sets.map((set) => set.onChange(() => {}));
  link.hang();
  await eventually(() => assert.equal(lines.length, sets.length), PATIENCE_MS);
  for (const line of lines) {
    assert.match(
      line,
      /stays in use: reading takes more than 5 s, of these files or of others before them$/,
    );
  }
  assert.match(await readFile(new URL(import.meta.url), "utf8"), /A network file system/);
  link.write("new");
  await link.end();
  await eventually(() => {
    assert.deepEqual(sets.map((set) => set.value), sets.map(() => "new"));
  }, PATIENCE_MS);
  for (const stop of stops) stop();
  assert.equal(lines.length, 2 * sets.length);
});

test("a process can exit while a read hangs", { skip, timeout: 60_000 }, async (t) => {
  const link = await hangingLink(t);
  link.write("old");
  const watched = JSON.stringify(new URL("../../tls/watched-files.ts", import.meta.url));
  const program = `
    import { WatchedFiles } from ${watched};
    const log = { info() {}, warn: console.log };
    const file = new WatchedFiles([${
    JSON.stringify(link.path)
  }], String, log, { pollIntervalMs: 50 });
    file.onChange(() => {});
    console.log("watching");
    process.on("SIGTERM", () => process.exit(0));
    setInterval(() => {}, 1000);
  `;
  const file = `${link.path}-program.ts`;
  writeFileSync(file, program);
  const isDeno = "Deno" in globalThis;
  const script = new Script(t, [process.execPath, ...(isDeno ? ["run", "-A"] : []), file]);
  await script.printed(/watching/);
  link.hang();
  await script.printed(/reading takes more than 5 s/);
  // Not with `stop`: Deno reports any child that was sent a signal as killed by it.
  process.kill(script.pid, "SIGTERM");
  // Node cannot end a hanging thread, so it is killed.
  assert.equal(await script.exit(), "Bun" in globalThis || isDeno ? 0 : "SIGKILL");
});
