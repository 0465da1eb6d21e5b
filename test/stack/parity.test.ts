import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { freePorts } from "../../stack/ports.ts";
import { eventually } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { Script, startClient, startServer } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { realCollector } from "./programs.ts";

const collector = await realCollector();
const options = { skip: skipWithout(collector, "the Collector"), timeout: 120_000 };

/** Starts the Collector of `otel-collector.yaml` on free ports. */
async function startCollector(owner: TestContext) {
  const ports = await freePorts({ http: 0, grpc: 0, prometheus: 0, health: 0, telemetry: 0 });
  new Script(owner, [collector!, "--config", "otel-collector.yaml"], {
    environment: {
      COLLECTOR_OTLP_HTTP_ENDPOINT: `127.0.0.1:${ports.http}`,
      COLLECTOR_OTLP_GRPC_ENDPOINT: `127.0.0.1:${ports.grpc}`,
      COLLECTOR_PROMETHEUS_ENDPOINT: `127.0.0.1:${ports.prometheus}`,
      COLLECTOR_HEALTH_ENDPOINT: `127.0.0.1:${ports.health}`,
      COLLECTOR_TELEMETRY_PORT: `${ports.telemetry}`,
    },
  });
  await eventually(() => scrape(`http://127.0.0.1:${ports.health}/`), 30_000);
  return { ports, metricsUrl: `http://127.0.0.1:${ports.prometheus}/metrics` };
}

interface Exposition {
  /** `# HELP` and `# TYPE` lines by family. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Values by series, without the labels that only one of the two ways has. */
  readonly series: ReadonlyMap<string, string>;
}

/** Reads text; of a Collector's, what one `job` sent. */
function read(text: string, job?: string): Exposition {
  const metadata = new Map<string, string>();
  const series = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, kind, family] = /^# (HELP|TYPE) (\S+)/.exec(line) ?? [];
    if (kind) metadata.set(`${kind} ${family}`, line);
    const [, name, labels = "", value] = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (!name || (job !== undefined && !labels.includes(`job="${job}"`))) continue;
    const kept = labels.match(/[a-z_]+="(?:[^"\\]|\\.)*"/g)
      ?.filter((label) => !/^(job|instance)=|^otel_scope_schema_url=""$/.test(label)) ?? [];
    series.set(`${name}{${kept.join()}}`, value!);
  }
  return { metadata, series };
}

function grpcSeries({ series }: Exposition): Record<string, string> {
  return Object.fromEntries([...series].filter(([key]) => key.startsWith("grpc_")));
}

/** Names and labels of what is not gRPC's: its values change from one moment to the next. */
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
    `under ${runtime}, pulled and pushed by ${protocol}, the series are the same`,
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
          const direct = read(await scrape(url));
          const pushed = read(await scrape(metricsUrl), job);
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

/** `Metrics at` names the places of both exporters. */
function firstUrl(endpoint: string): string {
  return endpoint.split(",")[0]!;
}
