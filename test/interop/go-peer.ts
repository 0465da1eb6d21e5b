import { fileURLToPath } from "node:url";
import { AnsweringProgram } from "../support/answering-program.ts";
import { builtGoFolder } from "../support/go-folder.ts";
import type { CallRequest, CallResult, OngoingCall, Peer, Propagation, Report } from "./peer.ts";

/** Builds the program of the Go peer if needed. Prints the reason and returns undefined if it cannot. */
export function goPeer(): Promise<string | undefined> {
  return builtGoFolder({
    title: "The peer in Go",
    name: "go-peer",
    sources: fileURLToPath(new URL("peer", import.meta.url)),
  });
}

interface Answer {
  readonly port?: number;
  readonly result?: CallResult;
  readonly report?: Report;
}

/** A peer in another process, with grpc-go and its plugin. */
export class GoPeer implements Peer {
  readonly #program: AnsweringProgram<Answer>;
  #port = 0;

  private constructor(program: AnsweringProgram<Answer>) {
    this.#program = program;
  }

  /**
   * Starts a peer and waits until it listens.
   *
   * @throws {Error} if the process exits, with its standard error. All methods do the same.
   */
  static async start(program: string, propagation: Propagation = "traceparent"): Promise<GoPeer> {
    const peer = new GoPeer(
      new AnsweringProgram("the peer in Go", program, [`--propagation=${propagation}`]),
    );
    peer.#port = (await peer.#program.ask({ do: "serve" }).answer).port!;
    return peer;
  }

  get port(): number {
    return this.#port;
  }

  call(call: CallRequest): OngoingCall {
    const { id, answer } = this.#program.ask({ do: "call", call });
    return {
      result: answer.then(({ result }) => result!),
      cancel: () => this.#program.ask({ do: "cancel", of: id }),
    };
  }

  async report(): Promise<Report> {
    const { report } = await this.#program.ask({ do: "report" }).answer;
    return report!;
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }
}
