/** Which endpoints of OTLP are accepted with which protocols. */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { grpcEndpoint } from "../../../telemetry/otlp/grpc-endpoint.ts";
import { readSettings, withoutSecrets } from "../../../telemetry/settings/mod.ts";

const GRPC = { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" };

/** Returns the names of the refused variables. */
function refused(environment: Record<string, string>): string[] {
  try {
    readSettings(environment);
    return [];
  } catch (error) {
    return (error as Error).message.split("\n").map((line) => line.split("=", 1)[0]!);
  }
}

/** Endpoints for gRPC, and what the exporters get with `insecure` unset, true and false. */
const TARGETS: readonly (readonly [endpoint: string, ...urls: string[]])[] = [
  ["localhost:4317", "https://localhost:4317", "http://localhost:4317", "https://localhost:4317"],
  ["127.0.0.1:4317", "https://127.0.0.1:4317", "http://127.0.0.1:4317", "https://127.0.0.1:4317"],
  ["[::1]:4317", "https://[::1]:4317", "http://[::1]:4317", "https://[::1]:4317"],
  ["a_b.c-d.svc:1", "https://a_b.c-d.svc:1", "http://a_b.c-d.svc:1", "https://a_b.c-d.svc:1"],
  ["dns:collector:4317", "https://collector:4317", "http://collector:4317"],
  ["dns:///collector:4317", "https://collector:4317", "http://collector:4317"],
  ["ipv4:10.0.0.1:4317", "https://10.0.0.1:4317", "http://10.0.0.1:4317"],
  ["ipv6:[::1]:4317", "https://[::1]:4317", "http://[::1]:4317"],
  ["http://a:4317", "http://a:4317", "http://a:4317", "http://a:4317"],
  ["HTTP://a:4317", "http://a:4317", "http://a:4317", "http://a:4317"],
  ["Https://a:4317", "https://a:4317", "https://a:4317", "https://a:4317"],
];

for (const [endpoint, ...urls] of TARGETS) {
  test(`grpc: ${endpoint}`, () => {
    assert.deepEqual(refused({ ...GRPC, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }), []);
    const insecure = [undefined, true, false];
    for (const [i, url] of urls.entries()) {
      assert.deepEqual(grpcEndpoint(endpoint, insecure[i]), { url });
      assert.equal(withoutSecrets(url), url);
    }
  });
}

for (
  const [endpoint, path] of [
    ["unix:/var/run/otel.sock", "/var/run/otel.sock"],
    ["unix:///var/run/otel.sock", "/var/run/otel.sock"],
    ["unix:otel.sock", `${process.cwd()}/otel.sock`],
    ["unix:4317", `${process.cwd()}/4317`],
  ] as const
) {
  test(`grpc: ${endpoint}`, () => {
    assert.deepEqual(refused({ ...GRPC, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }), []);
    const url = `unix://${path}`;
    assert.deepEqual(grpcEndpoint(endpoint, undefined), { url, isPlain: true });
    assert.deepEqual(grpcEndpoint(endpoint, true), { url, isPlain: true });
    assert.deepEqual(grpcEndpoint(endpoint, false), { url, isPlain: false });
    assert.equal(withoutSecrets(url), url);
  });
}

for (
  const endpoint of [
    ...["collector", "collector:", "collector:port", ":4317", "collector:0", "collector:65536"],
    ...["::1:4317", "[::1]", "[collector]:4317", "user:key@collector:4317", "collector:4317/v1"],
    ...[
      "a b:1",
      "ftp://collector:4317",
      "dns://8.8.8.8/collector:4317",
      "ipv4:1.1.1.1:1,1.1.1.2:1",
    ],
    ...["unix:", "unix://run/otel.sock", "unix:a\n", "unix-abstract:otel", "xds:///collector:4317"],
  ]
) {
  test(`grpc: ${JSON.stringify(endpoint)} is refused`, () => {
    const name = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
    assert.deepEqual(refused({ ...GRPC, [name]: endpoint }), [name]);
  });
}

test("a protocol over HTTP needs a URL", () => {
  for (const endpoint of ["collector:4318", "unix:/otel.sock", "dns:///collector:4318"]) {
    for (const protocol of ["http/json", "http/protobuf"]) {
      for (
        const name of ["", "METRICS_", "TRACES_"].map((s) => `OTEL_EXPORTER_OTLP_${s}ENDPOINT`)
      ) {
        const environment = { OTEL_EXPORTER_OTLP_PROTOCOL: protocol, [name]: endpoint };
        assert.deepEqual(refused(environment), [name]);
      }
    }
  }
});

test("the endpoint of a signal suits that signal's protocol", () => {
  const name = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
  const environment = { [name]: "collector:4317" };
  assert.deepEqual(refused({ ...environment, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "grpc" }), []);
  assert.deepEqual(refused({ ...environment, OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: "grpc" }), [
    name,
  ]);
  const traces = { OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/json" };
  assert.deepEqual(refused({ ...environment, ...GRPC, ...traces }), [name]);
});

test("the endpoint for both signals suits each signal that is exported to it", () => {
  const name = "OTEL_EXPORTER_OTLP_ENDPOINT";
  const mixed = { [name]: "collector:4317", OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: "grpc" };
  const push = { OTEL_METRICS_EXPORTER: "otlp" };
  assert.deepEqual(refused({ ...mixed, ...push }), []);
  const both = { ...push, OTEL_TRACES_EXPORTER: "otlp" };
  assert.deepEqual(refused({ ...mixed, ...both }), [name]);
  const url = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://collector:4318/v1/traces" };
  assert.deepEqual(refused({ ...mixed, ...both, ...url }), []);
});
