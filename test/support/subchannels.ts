import { METRIC_NAMES } from "../../plugin/metrics/definitions.ts";
import type { Recording } from "./series.ts";

/** The names of the metrics of gRFC A94. */
export const A94 = METRIC_NAMES.filter((name) => name.startsWith("grpc.subchannel."));

/** Returns the series of gRFC A94 without the prefix of their names. */
export async function subchannelSeries(recording: Recording): Promise<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(await recording.series())
      .filter(([name]) => name.startsWith("grpc.subchannel."))
      .map(([name, value]) => [name.replace("grpc.subchannel.", ""), value]),
  );
}
