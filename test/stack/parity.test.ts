import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { startClient, startServer } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { firstUrl, grpcSeries, readExposition } from "./exposition-text.ts";
import type { Exposition } from "./exposition-text.ts";
import { realCollector } from "./programs.ts";
import { startCollector } from "./running-collector.ts";

const collector = await realCollector();
const options = { skip: skipWithout(collector, "the Collector"), timeout: 120_000 };

/** Returns names and labels of the series that are not gRPC's, whose values change all the time. */
function otherNames({ series }: Exposition): string[] {
  return [...series.keys()]
    .filter((key) => !/^(grpc|promhttp)_|^target_info/.test(key))
    .sort();
}

for (
  const [runtime, protocol] of [["bun", "http/json"], ["deno", "grpc"], [
    "node",
    "http/protobuf",
  ]] as const
) {
  test(
    `${runtime}: series are the same when pulled and when pushed with ${protocol}`,
    options,
    async (t) => {
      const { ports, metricsUrl } = await startCollector(t);
      const port = protocol === "grpc" ? ports.grpc : ports.http;
      const both = {
        OTEL_METRICS_EXPORTER: "prometheus,otlp",
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
        OTEL_METRIC_EXPORT_INTERVAL: "500",
      };
      const server = await startServer(t, runtime, both);
      const client = await startClient(t, runtime, {
        ...both,
        ECHO_ADDR: server.address,
        ECHO_CONCURRENCY: "7",
        ECHO_INTERVAL_MS: "3600000", // each worker makes one call, then pauses
      });

      for (
        const [job, { metricsUrl: url }, calls] of [
          [
            "echo-server",
            { metricsUrl: firstUrl(server.metricsUrl) },
            "grpc_server_call_duration_seconds_count",
          ],
          [
            "echo-client",
            { metricsUrl: firstUrl(client.metricsUrl) },
            "grpc_client_call_duration_seconds_count",
          ],
        ] as const
      ) {
        await eventually(async () => {
          const direct = readExposition(await scrape(url));
          const pushed = readExposition(await scrape(metricsUrl), `job="${job}"`);
          const count = [...direct.series].find(([key]) => key.startsWith(calls));
          assert.equal(count?.[1], "7");
          assert.deepEqual(grpcSeries(pushed), grpcSeries(direct));
          assert.deepEqual(otherNames(pushed), otherNames(direct));
          for (const [family, line] of direct.metadata) {
            if (!/promhttp_|target_info/.test(family)) {
              assert.equal(pushed.metadata.get(family), line);
            }
          }
        }, 20_000);
      }
    },
  );
}
