import type { Gained } from "./recorded.ts";
import type { Stage } from "./harness.ts";

/** Where grpc-js, or the runtime under it, does something else than grpc-go. */
export interface Difference {
  /** Why, in full sentences: the plugin's README says it. */
  readonly reason: string;
  /** What the caller sees instead. */
  readonly caller?: string;
  /** What the client's series gain instead. */
  readonly client?: readonly Gained[];
  /** What the server's series gain instead. */
  readonly server?: readonly Gained[];
  /** What else the server's series may gain, where two events race. */
  readonly serverEither?: readonly (readonly Gained[])[];
}

/** How one recorded case is made with grpc-js. */
export interface PlayedCase {
  /** Plays the case; resolves with what the caller saw, as `callerSaw` puts it. */
  readonly play: (stage: Stage) => Promise<string>;
  readonly differs?: Difference;
  /** Differences of a server or client on one runtime alone. */
  readonly differsOn?: Partial<Record<"bun" | "deno" | "node", Difference>>;
  /** The streams that a raw server sees instead of those recorded. */
  readonly streams?: readonly string[];
  /** Whether grpc-js leaves a stream open, which ends when the server does. */
  readonly leavesStreamOpen?: boolean;
}

/** A table of cases by the name under which the Go plugin's were recorded. */
export type Cases = Readonly<Record<string, PlayedCase>>;

const ECHO = "grpc.examples.echo.Echo";

/** The series of one method of the Echo service, as a difference gives them. */
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

export const LOCALHOST = "dns:///localhost:50051";
