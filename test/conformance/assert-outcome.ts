import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { eventually } from "../support/eventually.ts";
import { comparable } from "./recorded.ts";
import type { Gained } from "./recorded.ts";
import type { Harness } from "./harness.ts";

/** The expected outcome of a case. */
export interface Outcome {
  /** What the caller saw. */
  readonly saw: string;
  readonly client: readonly Gained[];
  /** Alternatives to `client`, if events race. */
  readonly clientEither?: readonly (readonly Gained[])[];
  /** The alternatives for the server's series; more than one if events race. */
  readonly server: readonly (readonly Gained[])[];
  /** The plans of the streams that the raw server saw; not checked if missing. */
  readonly streams?: readonly string[] | undefined;
  /** Whether grpc-js leaves a stream open until the server stops. */
  readonly leavesStreamOpen?: boolean | undefined;
}

const PATIENCE_MS = 20_000;

/**
 * Runs a case, checks its outcome, and stops its clients and servers.
 *
 * @param expected The expected outcome. If what the caller sees is a race, a function of it.
 * @throws {Error} if the outcome differs.
 */
export async function assertOutcome(
  harness: Harness,
  run: (harness: Harness) => Promise<string>,
  expected: Outcome | ((saw: string) => Outcome),
): Promise<void> {
  try {
    const saw = await run(harness);
    const outcome = typeof expected === "function" ? expected(saw) : expected;
    assert.equal(saw, outcome.saw, "what the caller saw");
    const clients = [outcome.client, ...outcome.clientEither ?? []].map(comparable);
    const servers = outcome.server.map(comparable);
    const { streams } = outcome;
    if (streams !== undefined) {
      // The raw server reports streams over a pipe, which may be slower than its answer.
      await eventually(() => assert.deepEqual(harness.streamsSeen(), streams), PATIENCE_MS);
    }

    await eventually(() => assertGained(harness, clients, servers), PATIENCE_MS);
    harness.close();
    // Closing changes nothing that has ended, and ends what was left open.
    if (!outcome.leavesStreamOpen) await assertGained(harness, clients, servers);
    await eventually(async () => {
      for (const side of ["client", "server"] as const) {
        for (const series of await harness.gained(side)) {
          assertEnded(side, series);
        }
      }
    }, PATIENCE_MS);
  } finally {
    harness.close();
  }
}

async function assertGained(
  harness: Harness,
  clients: readonly Gained[][],
  servers: readonly Gained[][],
): Promise<void> {
  for (const [side, either] of [["client", clients], ["server", servers]] as const) {
    const now = comparable(await harness.gained(side));
    const expected = either.find((one) => isDeepStrictEqual(one, now)) ??
      either[0];
    assert.deepEqual(now, expected, `the ${side}'s series`);
  }
}

function assertEnded(side: "client" | "server", series: Gained): void {
  const ended = Object.values(series.ended).reduce(
    (sum, { attempts = 0, calls = 0 }) => sum + (side === "client" ? attempts : calls),
    0,
  );
  assert.equal(
    ended,
    series.started,
    `${series["grpc.method"]}: what started on the ${side} ended`,
  );
}
