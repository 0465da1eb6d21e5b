import type { Gained } from "./recorded.ts";
import type { Harness } from "./harness.ts";

/** A difference between grpc-js, or its runtime, and grpc-go. */
export interface Difference {
  /** The reason in full sentences, which the documentation repeats. */
  readonly reason: string;
  /** What the caller sees instead. */
  readonly caller?: string;
  /** What the client's series gain instead. */
  readonly client?: readonly Gained[];
  /** What the server's series gain instead. */
  readonly server?: readonly Gained[];
  /** Alternatives for the server's series, if two events race. */
  readonly serverEither?: readonly (readonly Gained[])[];
}

/** A recorded case that is reproduced with grpc-js. */
export interface ReproducedCase {
  /** Runs the case. Resolves with what the caller saw, in the form of `callerSaw`. */
  readonly run: (harness: Harness) => Promise<string>;
  readonly differs?: Difference;
  /** Differences on one runtime only. */
  readonly differsOn?: Partial<Record<"bun" | "deno" | "node", Difference>>;
  /** The streams that the raw server sees, instead of the recorded ones. */
  readonly streams?: readonly string[];
  /** Whether grpc-js leaves a stream open until the server stops. */
  readonly leavesStreamOpen?: boolean;
}

/** Cases by the names of the Go plugin's recorded cases. */
export type Cases = Readonly<Record<string, ReproducedCase>>;

const ECHO = "grpc.examples.echo.Echo";

/** Creates the expected series of a method, by default of the Echo service. */
export function echo(
  method: string,
  started: number,
  ended: Gained["ended"],
  target?: string,
): Gained {
  return {
    "grpc.method": method.includes("/") || method === "other" ? method : `${ECHO}/${method}`,
    ...(target === undefined ? {} : { "grpc.target": target }),
    started,
    ended,
  };
}

/** The target label of most recorded cases. */
export const LOCALHOST = "dns:///localhost:50051";
