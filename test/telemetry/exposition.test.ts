import assert from "node:assert/strict";
import { test } from "node:test";
import { startTelemetry } from "../../telemetry.ts";
import { scrape } from "../support/scrape.ts";

const VARIABLES = {
  OTEL_EXPORTER_PROMETHEUS_PORT: "0",
  OTEL_RESOURCE_ATTRIBUTES: "team.a=x,teamXa=y,b+=z",
  GRPC_METRICS_TRANSLATION_STRATEGY: "NoTranslation",
  GRPC_METRICS_RESOURCE_LABELS: "team.a, b+",
};

test("variables set the names on /metrics and the labels of every series", async () => {
  Object.assign(process.env, VARIABLES);
  try {
    const telemetry = await startTelemetry({
      defaultServiceName: "test",
      defaultPrometheusPort: 0,
    });
    try {
      telemetry.meterProvider.getMeter("m").createCounter("my.requests", { unit: "s" }).add(1);
      const whole = await scrape(telemetry.endpoint, { accept: "text/plain;escaping=allow-utf-8" });
      assert.match(
        whole,
        /^\{"my\.requests","b\+"="z",otel_scope_name="m",otel_scope_version="","team\.a"="x"\} 1$/m,
      );
      const escaped = await scrape(telemetry.endpoint);
      assert.match(
        escaped,
        /^my_requests\{b_="z",otel_scope_name="m",otel_scope_version="",team_a="x"\} 1$/m,
      );
    } finally {
      await telemetry.shutdown();
    }
  } finally {
    for (const name of Object.keys(VARIABLES)) delete process.env[name];
  }
});
