import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

interface Waiting<Answer> {
  resolve(answer: Answer): void;
  reject(reason: Error): void;
}

/**
 * A program that answers questions. Each line of its standard input is a question in JSON, and each line
 * of its standard output is an answer in JSON with the question's `id`. It exits when its input ends.
 */
export class AnsweringProgram<Answer> {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #closed: Promise<unknown>;
  readonly #waiting = new Map<number, Waiting<Answer>>();
  #lastId = 0;

  /**
   * Starts the program.
   *
   * @param name The name in messages.
   * @param path The path of the program.
   */
  constructor(name: string, path: string, args: readonly string[] = []) {
    const child = spawn(path, args);
    this.#child = child;
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text);
    createInterface({ input: child.stdout }).on("line", (line) => {
      const answer = JSON.parse(line) as Answer & { readonly id: number };
      this.#waiting.get(answer.id)?.resolve(answer);
      this.#waiting.delete(answer.id);
    });
    this.#closed = once(child, "close");
    const fail = (reason: unknown) => {
      const error = new Error(`${name} has exited: ${reason}\n${stderr}`);
      for (const { reject } of this.#waiting.values()) reject(error);
    };
    child.on("error", fail);
    child.on("close", fail);
  }

  /**
   * Asks a question.
   *
   * @returns The question's id, and the answer. It is rejected if the program exits, with its standard
   * error.
   */
  ask(question: object): { id: number; answer: Promise<Answer> } {
    const id = ++this.#lastId;
    const answer = new Promise<Answer>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    this.#child.stdin.write(`${JSON.stringify({ id, ...question })}\n`);
    return { id, answer };
  }

  /** Ends the program's input, and waits until it has exited. */
  async stop(): Promise<void> {
    this.#child.stdin.end();
    await this.#closed;
  }
}
