import assert from "node:assert/strict";
import { test } from "node:test";
import { readSettings } from "../../../echo/settings.ts";
import type { Settings } from "../../../echo/settings.ts";

const DEFAULTS: Settings = {
  OTEL_METRICS_EXPORTER: ["prometheus"],
  OTEL_TRACES_EXPORTER: ["none"],
  OTEL_EXPORTER_PROMETHEUS_HOST: "127.0.0.1",
  OTEL_EXPORTER_PROMETHEUS_PORT: undefined,
  OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
  OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: undefined,
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: undefined,
  OTEL_EXPORTER_OTLP_ENDPOINT: undefined,
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: undefined,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: undefined,
  OTEL_EXPORTER_OTLP_INSECURE: undefined,
  OTEL_EXPORTER_OTLP_METRICS_INSECURE: undefined,
  OTEL_EXPORTER_OTLP_TRACES_INSECURE: undefined,
  OTEL_EXPORTER_OTLP_HEADERS: undefined,
  OTEL_EXPORTER_OTLP_METRICS_HEADERS: undefined,
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: undefined,
  OTEL_EXPORTER_OTLP_TIMEOUT: 10_000,
  OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: undefined,
  OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: undefined,
  OTEL_EXPORTER_OTLP_COMPRESSION: "none",
  OTEL_EXPORTER_OTLP_METRICS_COMPRESSION: undefined,
  OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: undefined,
  OTEL_EXPORTER_OTLP_CERTIFICATE: undefined,
  OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE: undefined,
  OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE: undefined,
  OTEL_EXPORTER_OTLP_CLIENT_KEY: undefined,
  OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY: undefined,
  OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: undefined,
  OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: undefined,
  OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE: undefined,
  OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE: undefined,
  OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: "explicit_bucket_histogram",
  OTEL_METRIC_EXPORT_INTERVAL: 60_000,
  OTEL_METRIC_EXPORT_TIMEOUT: undefined,
  OTEL_TRACES_SAMPLER: "parentbased_always_on",
  OTEL_TRACES_SAMPLER_ARG: 1,
  OTEL_PROPAGATORS: ["tracecontext", "baggage"],
  OTEL_SERVICE_NAME: undefined,
  OTEL_RESOURCE_ATTRIBUTES: undefined,
  OTEL_SDK_DISABLED: false,
  OTEL_LOG_LEVEL: 50,
  OTEL_SEMCONV_STABILITY_OPT_IN: [],
  GRPC_METRICS_ENABLED: [],
  GRPC_METRICS_OPTIONAL_LABELS: [],
  GRPC_METRICS_EXCLUDED_METHODS: undefined,
  GRPC_METRICS_TLS_CERT: undefined,
  GRPC_METRICS_TLS_KEY: undefined,
  GRPC_METRICS_TLS_CLIENT_CA: undefined,
  GRPC_METRICS_BEARER_TOKEN_FILE: undefined,
  GRPC_METRICS_BASIC_AUTH_FILE: undefined,
  GRPC_METRICS_ALLOWED_HOSTS: undefined,
  GRPC_METRICS_TRANSLATION_STRATEGY: "UnderscoreEscapingWithSuffixes",
  GRPC_METRICS_RESOURCE_LABELS: undefined,
  GRPC_METRICS_NATIVE_HISTOGRAMS: false,
  GRPC_METRICS_PAGE: true,
  GRPC_TLS_CERT: undefined,
  GRPC_TLS_KEY: undefined,
  GRPC_TLS_CA: undefined,
  GRPC_TLS_CLIENT_AUTH: false,
  ECHO_ADDR: { given: ":50051", bind: "[::]:50051", dial: "localhost:50051" },
  ECHO_DELAY_MS: 2000,
  ECHO_METHOD: "UnaryEcho",
  ECHO_CONCURRENCY: undefined,
  ECHO_QPS: undefined,
  ECHO_COUNT: 0,
  ECHO_DURATION_S: 0,
  ECHO_INTERVAL_MS: undefined,
  ECHO_DEADLINE_MS: 0,
  ECHO_MESSAGE_BYTES: 0,
};

test("defaults", () => assert.deepEqual(readSettings({}), DEFAULTS));

for (const value of ["", " ", "\t\n"]) {
  test(`an empty value counts as not set: ${JSON.stringify(value)}`, () => {
    const empty = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, value]));
    assert.deepEqual(readSettings(empty), DEFAULTS);
  });
}

test("a list without members counts as not set", () => {
  for (const list of [",", " , ,"]) {
    const lists = { OTEL_METRICS_EXPORTER: list, OTEL_TRACES_EXPORTER: list };
    assert.deepEqual(readSettings({ ...lists, OTEL_PROPAGATORS: list }), DEFAULTS);
  }
});

test("other variables are ignored", () => {
  assert.deepEqual(readSettings({ OTEL_LOGS_EXPORTER: "?", ECHO_NONE: "?" }), DEFAULTS);
});

test("the default environment is that of the process", () => {
  process.env["ECHO_COUNT"] = "3";
  try {
    assert.equal(readSettings().ECHO_COUNT, 3);
  } finally {
    delete process.env["ECHO_COUNT"];
  }
});

const VALUES: readonly (readonly [name: keyof Settings, value: string, parsed: unknown])[] = [
  ["OTEL_METRICS_EXPORTER", "none", ["none"]],
  ["OTEL_METRICS_EXPORTER", "console", ["console"]],
  ["OTEL_METRICS_EXPORTER", " console , prometheus", ["console", "prometheus"]],
  ["OTEL_METRICS_EXPORTER", "console,console", ["console"]],
  ["OTEL_METRICS_EXPORTER", "prometheus,", ["prometheus"]],
  ["OTEL_METRICS_EXPORTER", ", ,none ,", ["none"]],
  ["OTEL_EXPORTER_PROMETHEUS_HOST", "::", "::"],
  ["OTEL_EXPORTER_PROMETHEUS_HOST", "metrics.example.com", "metrics.example.com"],
  ["OTEL_EXPORTER_PROMETHEUS_PORT", "0", 0],
  ["OTEL_EXPORTER_PROMETHEUS_PORT", "65535", 65535],
  ["GRPC_METRICS_ALLOWED_HOSTS", "a.example, b", ["a.example", "b"]],
  ["GRPC_METRICS_ALLOWED_HOSTS", ",a.example,, b ,", ["a.example", "b"]],
  ["GRPC_METRICS_ALLOWED_HOSTS", "*", ["*"]],
  ["GRPC_METRICS_TRANSLATION_STRATEGY", "NoTranslation", "NoTranslation"],
  ["GRPC_METRICS_RESOURCE_LABELS", "service.name, größe,", ["service.name", "größe"]],
  ["OTEL_SEMCONV_STABILITY_OPT_IN", "HTTP, rpc/dup,,database", ["http", "rpc/dup", "database"]],
  ["GRPC_METRICS_EXCLUDED_METHODS", "a.B/C, d.E/*,", ["a.B/C", "d.E/*"]],
  ["GRPC_METRICS_EXCLUDED_METHODS", "B/C", ["B/C"]],
  ["GRPC_METRICS_ENABLED", "grpc.client.call.hedges,", ["grpc.client.call.hedges"]],
  [
    "GRPC_METRICS_ENABLED",
    "grpc.tcp.connection_count, grpc.tcp.*",
    ["grpc.tcp.connection_count", "grpc.tcp.connections_created"],
  ],
  ["GRPC_METRICS_OPTIONAL_LABELS", "grpc.lb.*", ["grpc.lb.locality", "grpc.lb.backend_service"]],
  ["OTEL_METRIC_EXPORT_INTERVAL", "2147483647", 2 ** 31 - 1],
  ["OTEL_METRIC_EXPORT_TIMEOUT", "60000", 60_000],
  ["OTEL_TRACES_EXPORTER", "OTLP,console", ["otlp", "console"]],
  ["OTEL_TRACES_SAMPLER", "TraceIdRatio", "traceidratio"],
  ["OTEL_TRACES_SAMPLER_ARG", "0.25", 0.25],
  ["OTEL_PROPAGATORS", "grpc-trace-bin, tracecontext", ["grpc-trace-bin", "tracecontext"]],
  ["OTEL_PROPAGATORS", "B3, b3multi", ["b3", "b3multi"]],
  ["OTEL_PROPAGATORS", ",tracecontext,,baggage,", ["tracecontext", "baggage"]],
  ["OTEL_PROPAGATORS", "none", ["none"]],
  ["OTEL_SERVICE_NAME", "a, b = c", "a, b = c"],
  ["OTEL_RESOURCE_ATTRIBUTES", "a=1, b.c = 2 ", { a: "1", "b.c": "2" }],
  ["OTEL_RESOURCE_ATTRIBUTES", "a=1%2C2%3D%C3%A9%20,%61b=", { a: "1,2=é ", ab: "" }],
  ["OTEL_RESOURCE_ATTRIBUTES", "a=b=c", { a: "b=c" }],
  ...["a=1,,b=2", ",a=1,b=2", "a=1,b=2,", " , a=1, ,\tb=2 ,,"].map((list) =>
    ["OTEL_RESOURCE_ATTRIBUTES", list, { a: "1", b: "2" }] as const
  ),
  ["OTEL_RESOURCE_ATTRIBUTES", "k=", { k: "" }],
  ["OTEL_RESOURCE_ATTRIBUTES", ",", {}],
  ["OTEL_EXPORTER_OTLP_HEADERS", ",a=1,, b=2%2C;c ,", { a: "1", b: "2,;c" }],
  ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", ", ", {}],
  ["OTEL_EXPORTER_OTLP_INSECURE", "TRUE", true],
  ["OTEL_SDK_DISABLED", "true", true],
  ["OTEL_SDK_DISABLED", "TRUE", true],
  ["OTEL_SDK_DISABLED", "False", false],
  ["OTEL_LOG_LEVEL", "none", 0],
  ["OTEL_LOG_LEVEL", "Error", 30],
  ["OTEL_LOG_LEVEL", "WARN", 50],
  ["OTEL_LOG_LEVEL", "debug", 70],
  ["OTEL_LOG_LEVEL", "verbose", 80],
  ["OTEL_LOG_LEVEL", "all", 9999],
  ["ECHO_DELAY_MS", "3600000", 3_600_000],
  ["ECHO_METHOD", "BidirectionalStreamingEcho", "BidirectionalStreamingEcho"],
  ["ECHO_CONCURRENCY", "100000", 100_000],
  ["ECHO_QPS", "0.5", 0.5],
  ["ECHO_QPS", "0", 0],
  ["ECHO_COUNT", "9007199254740991", Number.MAX_SAFE_INTEGER],
  ["ECHO_DURATION_S", "1.25", 1.25],
  ["ECHO_INTERVAL_MS", "0", 0],
  ["ECHO_DEADLINE_MS", "007", 7],
  ["ECHO_MESSAGE_BYTES", "67108864", 64 * 1024 * 1024],
];

for (const [name, value, parsed] of VALUES) {
  test(`${name}=${JSON.stringify(value)}`, () => {
    assert.deepEqual(readSettings({ [name]: value }), { ...DEFAULTS, [name]: parsed });
  });
}

const ADDRESSES: readonly [given: string, bind: string, dial: string][] = [
  [":50051", "[::]:50051", "localhost:50051"],
  [":0", "[::]:0", "localhost:0"],
  [":65535", "[::]:65535", "localhost:65535"],
  ["localhost:50051", "localhost:50051", "localhost:50051"],
  ["127.0.0.1:50051", "127.0.0.1:50051", "127.0.0.1:50051"],
  ["0.0.0.0:50051", "0.0.0.0:50051", "0.0.0.0:50051"],
  ["[::1]:50051", "[::1]:50051", "[::1]:50051"],
  ["[::]:50051", "[::]:50051", "[::]:50051"],
  ["[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1"],
  ["unix:/run/echo.sock", "unix:/run/echo.sock", "unix:/run/echo.sock"],
  ["unix:///run/echo.sock", "unix:///run/echo.sock", "unix:///run/echo.sock"],
  ["unix:echo.sock", "unix:echo.sock", "unix:echo.sock"],
  ["unix:./a:0", "unix:./a:0", "unix:./a:0"],
  ["echo.example.com:443", "echo.example.com:443", "echo.example.com:443"],
];

for (const [given, bind, dial] of ADDRESSES) {
  test(`ECHO_ADDR=${given}`, () => {
    assert.deepEqual(readSettings({ ECHO_ADDR: given }).ECHO_ADDR, { given, bind, dial });
  });
}
