/** Applications that own the OpenTelemetry SDK: its versions, its readers and views, its spans. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { installedTarball } from "../package/tarball.ts";
import type { ExportRequest } from "../scripts/recording-receiver.ts";
import { run, RUNTIMES } from "../support/script.ts";
import { seriesOf, valuesOf } from "../support/series.ts";
import { skipWithout } from "../tools.ts";
import { exportedMetrics } from "./otlp-metrics.ts";
import { installedProjects } from "./projects.ts";
import { assertTraffic, finished, startProgram } from "./pushed.ts";
import { clientTraffic, serverTraffic } from "./traffic.ts";

const folderOf = await installedProjects(await installedTarball(), ["sdk-2", "sdk-3"]);
const TRACES = { OTEL_TRACES_EXPORTER: "otlp" };
const NO_TRACES = { OTEL_TRACES_EXPORTER: "none" };

for (const project of ["sdk-2", "sdk-3"]) {
  const skip = skipWithout(folderOf(project), "the package registry");
  suite(`the application's provider, of ${project}`, { skip, concurrency: 2 }, () => {
    for (const runtime of RUNTIMES) {
      test(`on ${runtime}`, async (t) => {
        const command = run(runtime, "programs/own-provider.mjs");
        const running = await startProgram(t, folderOf(project)!, command);
        const metrics = await finished(running);
        assertTraffic(metrics);
        const searches = await running.script.printed(/^Searches: (.+)/);
        assert.equal(Number(searches), Object.keys(seriesOf(metrics)).length);
      });

      test(`with OpenTelemetry's names, on ${runtime}`, async (t) => {
        const command = run(runtime, "programs/opentelemetry-names.mjs");
        const metrics = await finished(await startProgram(t, folderOf(project)!, command));
        const recorded = metrics.filter(({ descriptor }) => descriptor.name.startsWith("grpc."));
        assert.deepEqual(
          seriesOf(recorded),
          withoutMethod("BidirectionalStreamingEcho", { ...clientTraffic(), ...serverTraffic() }),
        );
        for (const side of ["client", "server"]) {
          const [own, kept] = ["rpc", "grpc"].map((prefix) =>
            metrics.find(({ descriptor }) => descriptor.name === `${prefix}.${side}.call.duration`)
          );
          assert.deepEqual(
            own?.dataPoints.map(({ value }) => value),
            kept?.dataPoints.map(({ value }) => value),
          );
          assert.deepEqual(
            own?.dataPoints.map(({ attributes }) => [
              attributes["rpc.method"],
              attributes["rpc.response.status_code"],
            ]),
            kept?.dataPoints.map(({ attributes }) => [
              attributes["grpc.method"],
              attributes["grpc.status"],
            ]),
          );
        }
      });
    }
  });
}

/** Returns series without those of one method. */
function withoutMethod(method: string, series: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(series).filter(([name]) => !name.includes(method)));
}

const folder = folderOf("sdk-3") ?? "";
suite("OpenTelemetry's SDK for Node", {
  skip: skipWithout(folderOf("sdk-3"), "the package registry"),
}, () => {
  test("owns the provider, with readers and views of its own", async (t) => {
    const command = run("node", "programs/sdk/node-sdk.mjs");
    const running = await startProgram(t, folder, command, NO_TRACES);
    const metrics = await finished(running);
    assert.deepEqual(seriesOf(metrics), { ...clientTraffic(), ...serverTraffic() });
    const { stdout } = running.script;
    const started = stdout.matchAll(/^grpc_server_call_started_total\{.* (\d+)$/gm);
    assert.equal([...started].reduce((sum, [, value]) => sum + Number(value), 0), 12);
    const bounds = stdout.matchAll(/^grpc_server_call_duration_seconds_bucket\{.*le="([^"]+)"/gm);
    assert.deepEqual(new Set([...bounds].map(([, le]) => le)), new Set(["0.5", "60", "+Inf"]));
    assert.deepEqual(valuesOf(metrics, "grpc.target"), [undefined]);
  });

  test("is said to be missing when the plugin is made before it starts", async (t) => {
    const command = run("node", "programs/sdk/plugin-first.mjs");
    const { script, requests } = await startProgram(t, folder, command, NO_TRACES);
    assert.equal(await script.exit(), 0, script.stderr);
    assert.match(script.stderr, /Start the OpenTelemetry SDK before metrics\.getMeterProvider/);
    assert.deepEqual(exportedMetrics(requests), []);
  });

  for (const file of ["auto-instrumentation.cjs", "auto-instrumentation-global.cjs"]) {
    test(`makes spans with its own instrumentation, next to the plugin's metrics: ${file}`, async (t) => {
      const command = run("node", `programs/sdk/${file}`);
      const running = await startProgram(t, folder, command, TRACES);
      assertTraffic(await finished(running));
      assert.deepEqual(spansOf(running.requests), {
        "@opentelemetry/instrumentation-grpc": { spans: 24, traces: 12 },
      });
    });
  }

  test("makes spans in a program whose metrics need no code", async (t) => {
    const register = ["node", "--import", "grpc-js-opentelemetry/register"];
    const command = [...register, "programs/sdk/spans-only.cjs"];
    const running = await startProgram(t, folder, command, NO_TRACES);
    // It also says that there is a context manager already.
    assert.equal(await running.script.exit(), 0, running.script.stderr);
    assertTraffic(exportedMetrics(running.requests));
    assert.deepEqual(spansOf(running.requests), {
      "@opentelemetry/instrumentation-grpc": { spans: 24, traces: 12 },
    });
  });

  test("exports the plugin's spans", async (t) => {
    const command = run("node", "programs/sdk/plugin-spans.mjs");
    const running = await startProgram(t, folder, command, TRACES);
    assertTraffic(await finished(running));
    // A call, its attempt, and the server's side.
    assert.deepEqual(spansOf(running.requests), { "grpc-js": { spans: 36, traces: 12 } });
  });
});

/** The parts of an OTLP export of spans in JSON that this test reads. */
interface Spans {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string };
      readonly spans: readonly { readonly traceId: string }[];
    }[];
  }[];
}

/** Counts the exported spans of each library, and the traces that they belong to. */
function spansOf(
  requests: readonly ExportRequest[],
): Record<string, { spans: number; traces: number }> {
  const traceIds: Record<string, string[]> = {};
  for (const { body } of requests.filter(({ path }) => path === "/v1/traces")) {
    const { resourceSpans }: Spans = JSON.parse(body.toString());
    for (const { scope, spans } of resourceSpans.flatMap(({ scopeSpans }) => scopeSpans)) {
      (traceIds[scope.name] ??= []).push(...spans.map(({ traceId }) => traceId));
    }
  }
  return Object.fromEntries(
    Object.entries(traceIds)
      .map(([name, ids]) => [name, { spans: ids.length, traces: new Set(ids).size }]),
  );
}
