import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Service } from "../../stack/service.ts";

/** A label set with what a query says of it. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

/** A stack as `npm run stack` starts it, from the outside. */
export class RunningStack {
  readonly service: Service;
  readonly lines: string[] = [];
  readonly #folder: string;

  private constructor(folder: string, args: readonly string[], environment: Environment) {
    this.#folder = folder;
    this.service = new Service({
      name: "stack",
      command: ["node", "stack/stack.ts", ...args],
      environment: { TMPDIR: folder, ECHO_DELAY_MS: "100", ...environment },
      log: (line) => this.lines.push(line),
    });
  }

  /** Starts one; it is stopped when the test is over. */
  static async start(
    t: TestContext,
    args: readonly string[] = [],
    environment: Environment = {},
  ): Promise<RunningStack> {
    const folder = await mkdtemp(join(tmpdir(), "stack-test-"));
    const stack = new RunningStack(folder, args, environment);
    t.after(async () => {
      await stack.service.stop();
      await rm(folder, { recursive: true });
    });
    return stack;
  }

  get text(): string {
    return this.lines.join("\n");
  }

  /** Waits for a line; fails with all lines if the stack ends before. */
  async printed(pattern: RegExp): Promise<string> {
    try {
      return await this.service.printed(pattern);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.text}`);
    }
  }

  /** Waits until the stack is ready; returns Prometheus' address. */
  async ready(): Promise<string> {
    return await this.printed(/scrape targets: (http:.*)\/targets$/);
  }

  /** The process ids of the parts that run now. */
  async parts(): Promise<number[]> {
    const { pid } = this.service;
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
    return children.trim().split(" ").filter((text) => text !== "").map(Number);
  }

  /** The process id of the part whose command line has a match. */
  async part(command: RegExp): Promise<number> {
    for (const pid of await this.parts()) {
      if (command.test(await readFile(`/proc/${pid}/cmdline`, "utf8"))) return pid;
    }
    throw new Error(`no part matches ${command}\n${this.text}`);
  }

  /** Waits for the end, and sees to it that none of these parts is left, nor a port, nor a file. */
  async assertLeavesNothing(parts: readonly number[]): Promise<void> {
    await this.service.ended;
    for (const pid of parts) {
      assert.throws(() => process.kill(pid, 0), { code: "ESRCH" }, `${pid} still runs`);
    }
    const ports = new Set([...this.text.matchAll(/(?:127\.0\.0\.1|on ):(\d+)/g)].map((m) => m[1]));
    for (const port of ports) assert.equal(await listens(Number(port)), false, `port ${port}`);
    assert.deepEqual(await readdir(this.#folder), []);
  }
}

type Environment = Readonly<Record<string, string>>;

/** What Prometheus answers to a query now. */
export async function query(prometheus: string, expression: string): Promise<Sample[]> {
  const parameters = new URLSearchParams({ query: expression });
  const response = await fetch(`${prometheus}/api/v1/query?${parameters}`);
  assert.equal(response.status, 200);
  const { data } = await response.json() as { data: { result: Sample[] } };
  return data.result;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}
