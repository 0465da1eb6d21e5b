import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Service } from "../../stack/service.ts";

/** One sample of a query result. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

/** A stack that `npm run stack` has started. */
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

  /** Starts a stack and stops it when the test ends. */
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

  /** Waits for a line. Rejects with all lines so far if the stack ends first. */
  async printed(pattern: RegExp): Promise<string> {
    try {
      return await this.service.printed(pattern);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.text}`);
    }
  }

  /** Waits until the stack has printed all links and returns Prometheus' URL. */
  async ready(): Promise<string> {
    await this.printed(/Ctrl-C stops everything$/);
    return /scrape targets: (http:\/\/[^/]+)\/.*targets$/m.exec(this.text)![1]!;
  }

  /** Returns the process ids of the running services. */
  async processes(): Promise<number[]> {
    const { pid } = this.service;
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
    return children.trim().split(" ").filter((text) => text !== "").map(Number);
  }

  /** Returns the process id of the service whose command line matches. */
  async processOf(command: RegExp): Promise<number> {
    for (const pid of await this.processes()) {
      if (command.test(await readFile(`/proc/${pid}/cmdline`, "utf8"))) return pid;
    }
    throw new Error(`no service matches ${command}\n${this.text}`);
  }

  /** Waits for the end and asserts that it leaves no processes, listeners or files behind. */
  async assertLeavesNothing(pids: readonly number[]): Promise<void> {
    await this.service.ended;
    for (const pid of pids) {
      assert.throws(() => process.kill(pid, 0), { code: "ESRCH" }, `${pid} still runs`);
    }
    const ports = new Set([...this.text.matchAll(/(?:127\.0\.0\.1|on ):(\d+)/g)].map((m) => m[1]));
    for (const port of ports) assert.equal(await listens(Number(port)), false, `port ${port}`);
    assert.deepEqual(await readdir(this.#folder), []);
  }
}

type Environment = Readonly<Record<string, string>>;

/** Returns the result of an instant query, by default of this moment. */
export async function query(
  prometheus: string,
  expression: string,
  timeS = Date.now() / 1000,
): Promise<Sample[]> {
  const parameters = new URLSearchParams({ query: expression, time: `${timeS}` });
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
