/** The outputs that `OTEL_METRICS_EXPORTER` selects, and the attributes of the service. */
import assert from "node:assert/strict";
import { test } from "node:test";
import project from "../../package.json" with { type: "json" };
import { occupiedPort } from "../support/ports.ts";
import { scrape } from "../support/scrape.ts";
import { RUNTIMES, Script, startClient, startServer } from "../support/script.ts";

/** An object as the consoles of the three runtimes print it. */
const CONSOLE_METRIC = /name: ["']grpc\.client\.call\.duration["']/;

for (const runtime of RUNTIMES) {
  test(`${runtime}: console prints at every interval, and listens nowhere`, async (t) => {
    const { script } = await startServer(t, runtime, {
      OTEL_METRICS_EXPORTER: "console",
      OTEL_METRIC_EXPORT_INTERVAL: "100",
      OTEL_EXPORTER_PROMETHEUS_PORT: `${await occupiedPort(t)}`,
    });
    await script.printed(/^Metrics at standard output, every 0\.1 s\n/m);
    await script.printed(/process\.cpu[^]*process\.cpu/);
    assert.equal(await script.stop(), 0);
    assert.equal(script.stderr, "");
  });

  test(`${runtime}: console prints the last metrics at exit`, async (t) => {
    const server = await startServer(t, runtime);
    const { script } = await startClient(t, runtime, {
      ECHO_ADDR: server.address,
      ECHO_COUNT: "1",
      OTEL_METRICS_EXPORTER: "console",
    });
    assert.equal(await script.exit(), 0);
    assert.match(script.stdout, CONSOLE_METRIC);
  });

  test(`${runtime}: prometheus and console at once`, async (t) => {
    const { script, metricsUrl } = await startServer(t, runtime, {
      OTEL_METRICS_EXPORTER: "prometheus,console",
      OTEL_METRIC_EXPORT_INTERVAL: "100",
    });
    const [url = ""] = metricsUrl.split(", ");
    assert.equal(metricsUrl, `${url}, standard output, every 0.1 s`);
    assert.match(await scrape(url), /^process_cpu_seconds_total\{/m);
    await script.printed(/process\.cpu/);
  });

  for (const environment of [{ OTEL_METRICS_EXPORTER: "none" }, { OTEL_SDK_DISABLED: "True" }]) {
    test(`${runtime}: ${JSON.stringify(environment)} makes calls without metrics, and listens nowhere`, async (t) => {
      const silent = {
        ...environment,
        OTEL_EXPORTER_PROMETHEUS_PORT: `${await occupiedPort(t)}`,
      };
      const server = await startServer(t, runtime, silent);
      const client = await startClient(t, runtime, {
        ...silent,
        ECHO_ADDR: server.address,
        ECHO_COUNT: "1",
      });
      assert.equal(await client.script.exit(), 0);
      assert.equal(server.metricsUrl, "nowhere (switched off)");
      assert.equal(client.metricsUrl, "nowhere (switched off)");
      assert.match(client.script.stdout, /^message:/m);
      assert.equal(await server.script.stop(), 0);
      assert.equal(server.script.stderr + client.script.stderr, "");
    });
  }

  test(`${runtime}: target_info names the service, its instance and the runtime`, async (t) => {
    const [server, other] = await Promise.all([startServer(t, runtime), startServer(t, runtime)]);
    const labels = await targetInfo(server.metricsUrl);
    assert.match(labels["service_instance_id"] ?? "", /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/);
    const version = new Script(t, [runtime, "--version"]);
    assert.equal(await version.exit(), 0);
    assert.deepEqual({ ...labels, service_instance_id: "" }, {
      service_name: "echo-server",
      service_instance_id: "",
      process_runtime_name: runtime === "node" ? "nodejs" : runtime,
      process_runtime_version: /\d+\.\d+\.\d+/.exec(version.stdout)?.[0],
      telemetry_sdk_language: "nodejs",
      telemetry_sdk_name: "opentelemetry",
      telemetry_sdk_version: project.dependencies["@opentelemetry/sdk-metrics"],
    });
    const others = await targetInfo(other.metricsUrl);
    assert.notEqual(others["service_instance_id"], labels["service_instance_id"]);
  });

  test(`${runtime}: resource attributes override defaults, and OTEL_SERVICE_NAME overrides them`, async (t) => {
    const attributes = "service.name=shop,service.instance.id=i-7,team=a%2C%20b,quote=%22";
    const [server, client] = await Promise.all([
      startServer(t, runtime, { OTEL_RESOURCE_ATTRIBUTES: attributes }),
      startClient(t, runtime, {
        OTEL_RESOURCE_ATTRIBUTES: attributes,
        OTEL_SERVICE_NAME: "checkout",
      }),
    ]);
    const labels = await targetInfo(server.metricsUrl);
    assert.equal(labels["service_name"], "shop");
    assert.equal(labels["service_instance_id"], "i-7");
    assert.equal(labels["team"], "a, b");
    assert.equal(labels["quote"], '\\"');
    assert.equal((await targetInfo(client.metricsUrl))["service_name"], "checkout");
    assert.equal(labels["process_runtime_name"], runtime === "node" ? "nodejs" : runtime);
  });
}

/** Returns the printed labels of `target_info`. */
async function targetInfo(url: string): Promise<Record<string, string>> {
  const labels = /^target_info\{(.*)\} 1$/m.exec(await scrape(url))?.[1] ?? "";
  return Object.fromEntries(
    [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [name, value]),
  );
}
