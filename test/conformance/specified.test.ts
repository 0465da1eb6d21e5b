import { test } from "node:test";
import { assertPlayed } from "./assert-outcome.ts";
import { ATTEMPTS } from "./specified-cases/attempts.ts";
import { HTTP2 } from "./specified-cases/http2.ts";
import { LIFETIMES } from "./specified-cases/lifetimes.ts";
import { MESSAGES } from "./specified-cases/messages.ts";
import { Stage } from "./harness.ts";

const CASES = { ...MESSAGES, ...ATTEMPTS, ...LIFETIMES, ...HTTP2 };

for (const [name, { play, comesTo }] of Object.entries(CASES)) {
  test(name, (t) => assertPlayed(new Stage(t), play, comesTo));
}
