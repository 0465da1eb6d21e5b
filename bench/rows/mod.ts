import { clientScript } from "./client-script.ts";
import { exposition } from "./exposition.ts";
import { go } from "./go.ts";
import { labelSets } from "./label-sets.ts";
import { peers } from "./peers.ts";
import type { Row } from "./row.ts";
import { scraped } from "./scraped.ts";
import { stall } from "./stall.ts";
import { startUp } from "./start-up.ts";
import { throughput } from "./throughput.ts";

/** All that is measured, in this order. */
export const ROWS: readonly Row[] = [
  throughput,
  go,
  peers,
  exposition,
  stall,
  scraped,
  labelSets,
  startUp,
  clientScript,
];
