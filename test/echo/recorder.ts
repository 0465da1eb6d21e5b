import type { Reporter } from "../../echo/reporter.ts";
import type { Tally } from "../../echo/summary.ts";

/** A reporter that records its events. */
export class Recorder implements Reporter {
  readonly replies: string[] = [];
  readonly errors: Array<{ code: string; details: string; elapsedSeconds: number }> = [];
  readonly progressAt: number[] = [];
  finished = 0;

  reply(text: string): void {
    this.replies.push(text);
  }

  error(code: string, details: string, elapsedSeconds: number): void {
    this.errors.push({ code, details, elapsedSeconds });
  }

  progress({ elapsedSeconds }: Tally): void {
    this.progressAt.push(elapsedSeconds);
  }

  finish(): void {
    this.finished += 1;
  }
}
