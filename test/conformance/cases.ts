import { CHANNELS } from "./cases/channels.ts";
import { INTERRUPTED } from "./cases/interrupted.ts";
import { NAMES } from "./cases/names.ts";
import { PLAIN } from "./cases/plain.ts";
import { RETRIES } from "./cases/retries.ts";
import type { Cases } from "./case.ts";

/** How each of the recorded cases is made with grpc-js. */
export const CASES: Cases = {
  ...PLAIN,
  ...INTERRUPTED,
  ...RETRIES,
  ...NAMES,
  ...CHANNELS,
};
