import { test } from "node:test";
import { assertPlayed } from "./assert-played.ts";
import { ATTEMPTS } from "./further/attempts.ts";
import { HTTP2 } from "./further/http2.ts";
import { LIFETIMES } from "./further/lifetimes.ts";
import { MESSAGES } from "./further/messages.ts";
import { Stage } from "./stage.ts";

const CASES = { ...MESSAGES, ...ATTEMPTS, ...LIFETIMES, ...HTTP2 };

for (const [name, { play, comesTo }] of Object.entries(CASES)) {
  test(name, (t) => assertPlayed(new Stage(t), play, comesTo));
}
