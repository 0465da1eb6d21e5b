import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { eventually } from "../support/eventually.ts";
import { comparable } from "./recorded.ts";
import type { Gained } from "./recorded.ts";
import type { Stage } from "./harness.ts";

/** What a case comes to. */
export interface Outcome {
  /** What the caller saw. */
  readonly saw: string;
  readonly client: readonly Gained[];
  /** What else the client's series may gain, where events race. */
  readonly clientEither?: readonly (readonly Gained[])[];
  /** What the server's series gain: one of these, where events race. */
  readonly server: readonly (readonly Gained[])[];
  /** The plans of the streams that the raw server saw; not looked at if missing. */
  readonly streams?: readonly string[] | undefined;
  /** Whether grpc-js leaves a stream open, which ends when the server does. */
  readonly leavesStreamOpen?: boolean | undefined;
}

const PATIENCE_MS = 20_000;

/**
 * Plays a case and stops its clients and servers.
 *
 * @param expected What the case comes to; a function of what the caller saw where that is a race.
 * @throws {Error} unless it comes to that.
 */
export async function assertPlayed(
  stage: Stage,
  play: (stage: Stage) => Promise<string>,
  expected: Outcome | ((saw: string) => Outcome),
): Promise<void> {
  try {
    const saw = await play(stage);
    const outcome = typeof expected === "function" ? expected(saw) : expected;
    assert.equal(saw, outcome.saw, "what the caller saw");
    const clients = [outcome.client, ...outcome.clientEither ?? []].map(
      comparable,
    );
    const servers = outcome.server.map(comparable);
    const { streams } = outcome;
    if (streams !== undefined) {
      // The raw server tells of them through a pipe, which may be slower than its answer.
      await eventually(() => assert.deepEqual(stage.streamsSeen(), streams), PATIENCE_MS);
    }

    await eventually(() => assertGained(stage, clients, servers), PATIENCE_MS);
    stage.close();
    // What is over stays as it was recorded; what was left open ends.
    if (!outcome.leavesStreamOpen) await assertGained(stage, clients, servers);
    await eventually(async () => {
      for (const side of ["client", "server"] as const) {
        for (const series of await stage.gained(side)) {
          assertEnded(side, series);
        }
      }
    }, PATIENCE_MS);
  } finally {
    stage.close();
  }
}

async function assertGained(
  stage: Stage,
  clients: readonly Gained[][],
  servers: readonly Gained[][],
): Promise<void> {
  for (
    const [side, either] of [["client", clients], ["server", servers]] as const
  ) {
    const now = comparable(await stage.gained(side));
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
