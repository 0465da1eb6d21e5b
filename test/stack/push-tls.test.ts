// Tests the push path to the real Collector with mutual TLS.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CertificateAuthority } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { startServer } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { realCollector } from "./programs.ts";
import { startCollector } from "./running-collector.ts";

const collector = await realCollector();

test(
  "a Collector accepts metrics with a client certificate, and others see the reason for the rejection",
  { skip: skipWithout(collector, "the Collector"), timeout: 180_000 },
  async (t) => {
    const authority = await CertificateAuthority.create(t, "an authority");
    const server = await authority.issue("collector");
    const client = await authority.issue("client");
    const stranger = await (await CertificateAuthority.create(t, "another")).issue("stranger");

    const folder = await mkdtemp(join(tmpdir(), "collector-tls-"));
    t.after(() => rm(folder, { recursive: true }));
    const overlay = join(folder, "tls.json");
    const tls = {
      cert_file: server.certificate,
      key_file: server.key,
      client_ca_file: authority.certificate,
    };
    // Every JSON document is also YAML.
    await writeFile(
      overlay,
      JSON.stringify({ receivers: { otlp: { protocols: { grpc: { tls }, http: { tls } } } } }),
    );
    const { ports, metricsUrl } = await startCollector(t, { overlays: [overlay] });

    for (
      const [runtime, protocol] of [
        ["bun", "grpc"],
        ["deno", "grpc"],
        ["node", "grpc"],
        ["bun", "http/protobuf"],
        ["deno", "http/json"],
        ["node", "http/json"],
      ] as const
    ) {
      const instance = `${runtime}, ${protocol}`;
      const environment = {
        OTEL_METRICS_EXPORTER: "otlp",
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_EXPORTER_OTLP_ENDPOINT: `https://localhost:${
          protocol === "grpc" ? ports.grpc : ports.http
        }`,
        OTEL_EXPORTER_OTLP_CERTIFICATE: authority.certificate,
        OTEL_METRIC_EXPORT_INTERVAL: "2000",
        OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${encodeURIComponent(instance)}`,
      };
      const { script } = await startServer(t, runtime, {
        ...environment,
        OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: client.certificate,
        OTEL_EXPORTER_OTLP_CLIENT_KEY: client.key,
      });
      await eventually(async () => {
        const text = await scrape(metricsUrl);
        assert.ok(text.includes(`process_cpu_seconds_total{instance="${instance}"`), text);
      }, 30_000);
      assert.equal(await script.stop(), 0);
      assert.equal(script.stderr, "", instance);

      for (
        const shown of [{}, {
          OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: stranger.certificate,
          OTEL_EXPORTER_OTLP_CLIENT_KEY: stranger.key,
        }]
      ) {
        const refused = await startServer(t, runtime, { ...environment, ...shown });
        const reason = await refused.script.printedError(
          /^telemetry: .*cannot be delivered to \S+: (.*); recording goes on/,
        );
        t.diagnostic(`${instance}: ${reason}`);
        assert.match(reason, /client certificate/, instance);
        await refused.script.stop();
      }
    }
  },
);
