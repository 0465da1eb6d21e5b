import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { cachedGoProgram } from "../../stack/go-program.ts";
import { runStep } from "../../stack/build-step.ts";
import type { CallRequest, CallResult, OngoingCall, Peer, Propagation, Report } from "./peer.ts";

const SOURCES = fileURLToPath(new URL("peer", import.meta.url));

/** Builds the program of the Go peer if needed. Prints the reason and returns undefined if it cannot. */
export async function goPeer(): Promise<string | undefined> {
  const files = (await readdir(SOURCES)).sort();
  const program = cachedGoProgram({
    title: "The peer in Go",
    folder: "go-peer",
    file: "peer",
    sources: await Promise.all(files.map((file) => readFile(join(SOURCES, file)))),
    advice: "Install Go 1.26 or later (https://go.dev/doc/install).",
    announcement: "There is no peer in Go yet; building one, once",
    async build(go, context) {
      const path = join(context.folder, "peer");
      // Without cgo it needs no C compiler.
      const environment = { ...context.environment, CGO_ENABLED: "0" };
      const command = [go, "-C", SOURCES, "build", "-o", path, "."];
      await runStep("Building the peer in Go", command, { ...context, environment });
      return path;
    },
  }, { log: console.log });
  return await program.catch((error: Error) => {
    console.log(error.message);
    return undefined;
  });
}

interface Answer {
  readonly id: number;
  readonly port?: number;
  readonly result?: CallResult;
  readonly report?: Report;
}

interface Waiting {
  resolve(answer: Answer): void;
  reject(reason: Error): void;
}

/** A peer in another process, with grpc-go and its plugin. */
export class GoPeer implements Peer {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #closed: Promise<unknown>;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #port = 0;

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text);
    createInterface({ input: child.stdout }).on("line", (line) => {
      const answer = JSON.parse(line) as Answer;
      this.#waiting.get(answer.id)?.resolve(answer);
      this.#waiting.delete(answer.id);
    });
    this.#closed = once(child, "close");
    const fail = (reason: unknown) => {
      const error = new Error(`the peer in Go has exited: ${reason}\n${stderr}`);
      for (const { reject } of this.#waiting.values()) reject(error);
    };
    child.on("error", fail);
    child.on("close", fail);
  }

  /**
   * Starts a peer and waits until it listens.
   *
   * @throws {Error} if the process exits, with its standard error. All methods do the same.
   */
  static async start(program: string, propagation: Propagation = "traceparent"): Promise<GoPeer> {
    const peer = new GoPeer(spawn(program, [`--propagation=${propagation}`]));
    peer.#port = (await peer.#ask({ do: "serve" }).answer).port!;
    return peer;
  }

  get port(): number {
    return this.#port;
  }

  call(call: CallRequest): OngoingCall {
    const { id, answer } = this.#ask({ do: "call", call });
    return {
      result: answer.then(({ result }) => result!),
      cancel: () => this.#ask({ do: "cancel", of: id }),
    };
  }

  async report(): Promise<Report> {
    const { report } = await this.#ask({ do: "report" }).answer;
    return report!;
  }

  async stop(): Promise<void> {
    this.#child.stdin.end();
    await this.#closed;
  }

  #ask(question: object): { id: number; answer: Promise<Answer> } {
    const id = ++this.#lastId;
    const answer = new Promise<Answer>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    this.#child.stdin.write(`${JSON.stringify({ id, ...question })}\n`);
    return { id, answer };
  }
}
