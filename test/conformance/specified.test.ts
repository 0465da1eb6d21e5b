import { test } from "node:test";
import { assertOutcome } from "./assert-outcome.ts";
import { ATTEMPTS } from "./specified-cases/attempts.ts";
import { HTTP2 } from "./specified-cases/http2.ts";
import { LIFETIMES } from "./specified-cases/lifetimes.ts";
import { MESSAGES } from "./specified-cases/messages.ts";
import { Harness } from "./harness.ts";

const CASES = { ...MESSAGES, ...ATTEMPTS, ...LIFETIMES, ...HTTP2 };

for (const [name, { run, outcome }] of Object.entries(CASES)) {
  test(name, (t) => assertOutcome(new Harness(t), run, outcome));
}
