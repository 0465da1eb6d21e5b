/** The two commands in the README work in a fresh clone, with nothing installed or cached. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PROJECT, Script } from "../support/script.ts";

test("bun run server.ts and deno run -A client.ts", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bare-clone-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const clone = join(folder, "clone");
  for (const file of lines(git(PROJECT, "ls-files", "-co", "--exclude-standard"))) {
    cpSync(join(PROJECT, file), join(clone, file));
  }
  git(clone, "init", "--quiet");
  git(clone, "add", "--all");
  git(clone, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "a");

  const environment = {
    ECHO_DELAY_MS: "0",
    OTEL_EXPORTER_PROMETHEUS_PORT: "0",
    DENO_DIR: join(folder, "deno"),
    BUN_INSTALL_CACHE_DIR: join(folder, "bun"),
  };
  const server = new Script(t, ["bun", "run", "server.ts"], {
    cwd: clone,
    environment: { ...environment, ECHO_ADDR: ":0" },
  });
  const address = await server.printed(/^Serving on (.+)\n/m);
  const client = new Script(t, ["deno", "run", "-A", "client.ts"], {
    cwd: clone,
    environment: { ...environment, ECHO_ADDR: address },
  });
  const reply = 'message:"this is examples/opentelemetry \\(from :0\\)"\n';
  await client.printed(new RegExp(`${reply}${reply}`));
  assert.equal(await client.stop("SIGINT"), 0);
  assert.equal(await server.stop("SIGINT"), 0);
  assert.equal(server.stderr, "");
  assert.equal(git(clone, "status", "--porcelain", "--ignored"), "", "deno.lock is as it was");
});

function git(folder: string, ...args: string[]): string {
  return execFileSync("git", args, { cwd: folder, encoding: "utf8" });
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}
