import { CHANNELS } from "./recorded-cases/channels.ts";
import { INTERRUPTED } from "./recorded-cases/interrupted.ts";
import { NAMES } from "./recorded-cases/names.ts";
import { PLAIN } from "./recorded-cases/plain.ts";
import { RETRIES } from "./recorded-cases/retries.ts";
import type { Cases } from "./case.ts";

/** How each of the recorded cases is made with grpc-js. */
export const CASES: Cases = {
  ...PLAIN,
  ...INTERRUPTED,
  ...RETRIES,
  ...NAMES,
  ...CHANNELS,
};
