/**
 * The cases that were recorded from the Go plugin.
 *
 * @module
 */
import { status } from "@grpc/grpc-js";
import { readFileSync } from "node:fs";

/** What ended with one status. Servers lack `attempts`, and zeros are left out. */
export interface Ended {
  readonly attempts?: number;
  readonly calls?: number;
  readonly sent_bytes?: number;
  readonly rcvd_bytes?: number;
}

/** The growth of the series of one method and, on a client, of one target. */
export interface Gained {
  readonly "grpc.method": string;
  readonly "grpc.target"?: string;
  readonly started: number;
  readonly ended: Readonly<Record<string, Ended>>;
}

/** A case that was recorded from the Go plugin. */
export interface RecordedCase {
  readonly case: string;
  readonly caller_saw: string;
  readonly client: readonly Gained[];
  readonly server: readonly Gained[];
  /** Series of instruments that are not in gRFC A66. */
  readonly client_other_series?: readonly string[];
}

/** The 95 cases in the order of their recording. */
export const RECORDED_CASES: readonly RecordedCase[] = JSON.parse(
  readFileSync(new URL("go-plugin-cases.json", import.meta.url), "utf8"),
);

/** Sorts series, removes zeros, and replaces ports by `PORT`, because they differ between runs. */
export function comparable(gained: readonly Gained[]): Gained[] {
  return gained.map((series) => ({
    ...series,
    ...(series["grpc.target"] === undefined
      ? {}
      : { "grpc.target": series["grpc.target"].replace(/:\d{4,5}$/, ":PORT") }),
    ended: Object.fromEntries(
      Object.entries(series.ended).sort(([a], [b]) => a < b ? -1 : 1).map(([name, ended]) => [
        name,
        Object.fromEntries(Object.entries(ended).filter(([, value]) => value !== 0)),
      ]),
    ),
  })).sort((a, b) => order(a) < order(b) ? -1 : 1);
}

function order(series: Gained): string {
  return `${series["grpc.method"]} ${series["grpc.target"]}`;
}

/**
 * Returns what the caller saw, without error texts: `OK`, `CANCELLED`,
 * `2 messages then FAILED_PRECONDITION`, `126 OK, 10 failed`.
 */
export function callerSaw({ caller_saw: text }: RecordedCase): string {
  if (/^\d+ OK, \d+ failed$/.test(text)) return text;
  const [, messages = "", code] =
    /^(?:open: )?(\d+ messages then )?(?:OK|EOF|[A-Za-z]+(?:\(\d+\))?\((\d+)\))/
      .exec(text) ?? [];
  if (code === undefined) return `${messages}OK`;
  return `${messages}${status[Number(code)] ?? `CODE(${code})`}`;
}

/** Returns the plans of the streams that the raw server of a case saw, if it had one. */
export function streamsSeen({ caller_saw: text }: RecordedCase): string[] | undefined {
  return /streams seen by the raw server: \[([^\]]*)\]/.exec(text)?.[1]?.split(" ");
}
