import assert from "node:assert/strict";
import { test } from "node:test";
import { OPTIONAL_LABELS } from "../../../plugin/metrics/labels.ts";
import { readSettings } from "../../../echo/settings.ts";

/** A variable, a bad value, and the line that reports it. */
type Case = readonly [name: string, value: string, line: string];

const exporters =
  "must be prometheus, otlp, console or none; several, but not none, separated by commas";
const host = "must be a host name or an IP address, such as 127.0.0.1, :: or 0.0.0.0";
const port = "must be a port from 0 to 65535";
const url = "must be a URL that begins with http:// or https://; with grpc also host:port, " +
  "unix:path or unix:///path";
const timer = "must be a whole number of milliseconds from 1 to 2147483647";
const attributes = "must be key=value pairs separated by commas, values percent-encoded";
const headers = "must be name=value pairs separated by commas, in characters that headers can " +
  "have, values percent-encoded";
const certificate = "must be a file that can be read, with a certificate in PEM";
const clientKey = "must be a file that can be read, with the private key of " +
  "the client certificate in PEM, without a passphrase";
const hour = "must be a whole number of milliseconds from 0 to 3600000";
const address = "must be host:port or :port, with a port from 0 to 65535; or unix:path or " +
  "unix:///path";
const propagators = "must be tracecontext, baggage, b3, b3multi, grpc-trace-bin or none; " +
  "several, but not none, separated by commas";
const qps = "must be a number from 0 to 1000000";
const duration = "must be a number of seconds from 0 to 31536000";

const CASES: readonly Case[] = [
  ["OTEL_METRICS_EXPORTER", "graphite", `OTEL_METRICS_EXPORTER="graphite": ${exporters}`],
  ["OTEL_METRICS_EXPORTER", "none,console", `OTEL_METRICS_EXPORTER="none,console": ${exporters}`],
  [
    "OTEL_METRICS_EXPORTER",
    "prometheus console",
    `OTEL_METRICS_EXPORTER="prometheus console": ${exporters}`,
  ],
  [
    "OTEL_TRACES_EXPORTER",
    "prometheus",
    'OTEL_TRACES_EXPORTER="prometheus": must be otlp, console or none; several, but not none, ' +
    "separated by commas",
  ],
  [
    "OTEL_EXPORTER_PROMETHEUS_HOST",
    "all interfaces",
    `OTEL_EXPORTER_PROMETHEUS_HOST="all interfaces": ${host}`,
  ],
  [
    "OTEL_EXPORTER_PROMETHEUS_HOST",
    "http://localhost",
    `OTEL_EXPORTER_PROMETHEUS_HOST="http://localhost": ${host}`,
  ],
  ["OTEL_EXPORTER_PROMETHEUS_PORT", "http", `OTEL_EXPORTER_PROMETHEUS_PORT="http": ${port}`],
  ["OTEL_EXPORTER_PROMETHEUS_PORT", "65536", `OTEL_EXPORTER_PROMETHEUS_PORT="65536": ${port}`],
  ["OTEL_EXPORTER_PROMETHEUS_PORT", "-1", `OTEL_EXPORTER_PROMETHEUS_PORT="-1": ${port}`],
  ["OTEL_EXPORTER_PROMETHEUS_PORT", "9464.5", `OTEL_EXPORTER_PROMETHEUS_PORT="9464.5": ${port}`],
  ["OTEL_EXPORTER_PROMETHEUS_PORT", " 9464", `OTEL_EXPORTER_PROMETHEUS_PORT=" 9464": ${port}`],
  ["OTEL_EXPORTER_PROMETHEUS_PORT", "0x24f8", `OTEL_EXPORTER_PROMETHEUS_PORT="0x24f8": ${port}`],
  ["OTEL_EXPORTER_PROMETHEUS_PORT", ":9464", `OTEL_EXPORTER_PROMETHEUS_PORT=":9464": ${port}`],
  [
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "http",
    'OTEL_EXPORTER_OTLP_PROTOCOL="http": must be http/json, http/protobuf, grpc',
  ],
  [
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    "json",
    'OTEL_EXPORTER_OTLP_METRICS_PROTOCOL="json": must be http/json, http/protobuf, grpc',
  ],
  [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "ftp://user:s3cret@collector?key=s3cret",
    `OTEL_EXPORTER_OTLP_ENDPOINT=(not shown): ${url}`,
  ],
  [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "collector:4318",
    `OTEL_EXPORTER_OTLP_ENDPOINT=(not shown): ${url}`,
  ],
  ["OTEL_EXPORTER_OTLP_ENDPOINT", "http://", `OTEL_EXPORTER_OTLP_ENDPOINT=(not shown): ${url}`],
  [
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "ftp://collector/metrics",
    `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=(not shown): ${url}`,
  ],
  [
    "OTEL_EXPORTER_OTLP_INSECURE",
    "1",
    'OTEL_EXPORTER_OTLP_INSECURE="1": must be true or false',
  ],
  [
    "OTEL_EXPORTER_OTLP_TRACES_INSECURE",
    "no",
    'OTEL_EXPORTER_OTLP_TRACES_INSECURE="no": must be true or false',
  ],
  ["OTEL_EXPORTER_OTLP_HEADERS", "secret", `OTEL_EXPORTER_OTLP_HEADERS=(not shown): ${headers}`],
  [
    "OTEL_EXPORTER_OTLP_HEADERS",
    "na me=secret",
    `OTEL_EXPORTER_OTLP_HEADERS=(not shown): ${headers}`,
  ],
  [
    "OTEL_EXPORTER_OTLP_HEADERS",
    "name=secret%0A",
    `OTEL_EXPORTER_OTLP_HEADERS=(not shown): ${headers}`,
  ],
  [
    "OTEL_EXPORTER_OTLP_HEADERS",
    "name-bin=secret",
    `OTEL_EXPORTER_OTLP_HEADERS=(not shown): ${headers}`,
  ],
  [
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "secret",
    `OTEL_EXPORTER_OTLP_METRICS_HEADERS=(not shown): ${headers}`,
  ],
  ["OTEL_EXPORTER_OTLP_TIMEOUT", "0", `OTEL_EXPORTER_OTLP_TIMEOUT="0": ${timer}`],
  ["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "0", `OTEL_EXPORTER_OTLP_METRICS_TIMEOUT="0": ${timer}`],
  [
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "zstd",
    'OTEL_EXPORTER_OTLP_COMPRESSION="zstd": must be none or gzip',
  ],
  [
    "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
    "GZIP",
    'OTEL_EXPORTER_OTLP_METRICS_COMPRESSION="GZIP": must be none or gzip',
  ],
  [
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "no/such.pem",
    `OTEL_EXPORTER_OTLP_CERTIFICATE="no/such.pem": ${certificate}`,
  ],
  [
    "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
    "no/such.pem",
    `OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE="no/such.pem": ${certificate}`,
  ],
  [
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "no/such.pem",
    `OTEL_EXPORTER_OTLP_CLIENT_KEY="no/such.pem": ${clientKey}`,
  ],
  [
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY",
    "no/such.pem",
    `OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY="no/such.pem": ${clientKey}`,
  ],
  [
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "no/such.pem",
    `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE="no/such.pem": ${certificate}, together with its key`,
  ],
  [
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
    "no/such.pem",
    `OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE="no/such.pem": ${certificate}, together with its key`,
  ],
  ["OTEL_METRIC_EXPORT_INTERVAL", "0", `OTEL_METRIC_EXPORT_INTERVAL="0": ${timer}`],
  ["OTEL_METRIC_EXPORT_INTERVAL", "60s", `OTEL_METRIC_EXPORT_INTERVAL="60s": ${timer}`],
  [
    "OTEL_METRIC_EXPORT_INTERVAL",
    "2147483648",
    `OTEL_METRIC_EXPORT_INTERVAL="2147483648": ${timer}`,
  ],
  [
    "OTEL_METRIC_EXPORT_TIMEOUT",
    "soon",
    `OTEL_METRIC_EXPORT_TIMEOUT="soon": ${timer}, at most OTEL_METRIC_EXPORT_INTERVAL`,
  ],
  [
    "OTEL_METRIC_EXPORT_TIMEOUT",
    "60001",
    `OTEL_METRIC_EXPORT_TIMEOUT="60001": ${timer}, at most OTEL_METRIC_EXPORT_INTERVAL`,
  ],
  [
    "OTEL_TRACES_SAMPLER",
    "sometimes",
    'OTEL_TRACES_SAMPLER="sometimes": must be always_on, always_off, traceidratio, ' +
    "parentbased_always_on, parentbased_always_off, parentbased_traceidratio",
  ],
  [
    "OTEL_TRACES_SAMPLER_ARG",
    "1.1",
    'OTEL_TRACES_SAMPLER_ARG="1.1": must be a number from 0 to 1',
  ],
  ...["none,baggage", "jaeger", "xray", "ottrace", "b3,b3single"].map((value): Case => [
    "OTEL_PROPAGATORS",
    value,
    `OTEL_PROPAGATORS="${value}": ${propagators}`,
  ]),
  ["OTEL_RESOURCE_ATTRIBUTES", "team", `OTEL_RESOURCE_ATTRIBUTES="team": ${attributes}`],
  ["OTEL_RESOURCE_ATTRIBUTES", "=echo", `OTEL_RESOURCE_ATTRIBUTES="=echo": ${attributes}`],
  ["OTEL_RESOURCE_ATTRIBUTES", "a=1,,b", `OTEL_RESOURCE_ATTRIBUTES="a=1,,b": ${attributes}`],
  ["OTEL_RESOURCE_ATTRIBUTES", "a=100%", `OTEL_RESOURCE_ATTRIBUTES="a=100%": ${attributes}`],
  ["OTEL_SDK_DISABLED", "1", 'OTEL_SDK_DISABLED="1": must be true or false'],
  ["OTEL_SDK_DISABLED", "yes", 'OTEL_SDK_DISABLED="yes": must be true or false'],
  [
    "OTEL_LOG_LEVEL",
    "loud",
    'OTEL_LOG_LEVEL="loud": must be none, error, warn, info, debug, verbose or all',
  ],
  [
    "OTEL_LOG_LEVEL",
    "3",
    'OTEL_LOG_LEVEL="3": must be none, error, warn, info, debug, verbose or all',
  ],
  ...["grpc.tcp", "grpc.tcp.*,grpc.nothing.*", "grpc_tcp_connection_count", "*.tcp"].map((
    value,
  ): Case => [
    "GRPC_METRICS_ENABLED",
    value,
    `GRPC_METRICS_ENABLED="${value}": must be names of metrics of the plugin, or their beginnings ` +
    "with *, separated by commas",
  ]),
  [
    "GRPC_METRICS_OPTIONAL_LABELS",
    "grpc.status",
    `GRPC_METRICS_OPTIONAL_LABELS="grpc.status": must be ${OPTIONAL_LABELS.join(", ")}, ` +
    "separated by commas",
  ],
  ...["a.B", "/a.B/C", "a.B/C d.E/F", "a.*/C", "a.B/C*", "a.B/", ","].map((value): Case => [
    "GRPC_METRICS_EXCLUDED_METHODS",
    value,
    `GRPC_METRICS_EXCLUDED_METHODS="${value}": must be package.Service/Method or ` +
    "package.Service/*, separated by commas",
  ]),
  [
    "GRPC_METRICS_EXCLUDED_METHODS",
    "https://host/token",
    "GRPC_METRICS_EXCLUDED_METHODS=(not shown): must be package.Service/Method or " +
    "package.Service/*, separated by commas",
  ],
  ...["a:1", "http://a", "a b", "a,,b:1", ",", "*.example"].map((value): Case => [
    "GRPC_METRICS_ALLOWED_HOSTS",
    value,
    `GRPC_METRICS_ALLOWED_HOSTS="${value}": must be host names without ports, separated by ` +
    "commas, or *",
  ]),
  ...["underscores", "notranslation", "NoTranslation,"].map((value): Case => [
    "GRPC_METRICS_TRANSLATION_STRATEGY",
    value,
    `GRPC_METRICS_TRANSLATION_STRATEGY="${value}": must be UnderscoreEscapingWithSuffixes, ` +
    "UnderscoreEscapingWithoutSuffixes, NoUTF8EscapingWithSuffixes, NoTranslation",
  ]),
  ...[",", "a b", "a;b"].map((value): Case => [
    "GRPC_METRICS_RESOURCE_LABELS",
    value,
    `GRPC_METRICS_RESOURCE_LABELS="${value}": must be keys of attributes, such as ` +
    "service.name, separated by commas",
  ]),
  ["ECHO_ADDR", "localhost", `ECHO_ADDR="localhost": ${address}`],
  ["ECHO_ADDR", "50051", `ECHO_ADDR="50051": ${address}`],
  ["ECHO_ADDR", ":", `ECHO_ADDR=":": ${address}`],
  ["ECHO_ADDR", ":grpc", `ECHO_ADDR=":grpc": ${address}`],
  ["ECHO_ADDR", ":65536", `ECHO_ADDR=":65536": ${address}`],
  ["ECHO_ADDR", "::1:50051", `ECHO_ADDR="::1:50051": ${address}`],
  ["ECHO_ADDR", "[::1]", `ECHO_ADDR="[::1]": ${address}`],
  ["ECHO_ADDR", "[localhost]:50051", `ECHO_ADDR="[localhost]:50051": ${address}`],
  ["ECHO_ADDR", "http://localhost:50051", `ECHO_ADDR="http://localhost:50051": ${address}`],
  ["ECHO_ADDR", "unix:", `ECHO_ADDR="unix:": ${address}`],
  ["ECHO_ADDR", "unix://run/echo.sock", `ECHO_ADDR=(not shown): ${address}`],
  ["ECHO_ADDR", "unix-abstract:echo", `ECHO_ADDR="unix-abstract:echo": ${address}`],
  ["ECHO_ADDR", "local host:50051", `ECHO_ADDR="local host:50051": ${address}`],
  ["ECHO_DELAY_MS", "-1", `ECHO_DELAY_MS="-1": ${hour}`],
  ["ECHO_DELAY_MS", "2s", `ECHO_DELAY_MS="2s": ${hour}`],
  ["ECHO_DELAY_MS", "3600001", `ECHO_DELAY_MS="3600001": ${hour}`],
  [
    "ECHO_METHOD",
    "Unary",
    'ECHO_METHOD="Unary": must be UnaryEcho, ServerStreamingEcho, ClientStreamingEcho, ' +
    "BidirectionalStreamingEcho",
  ],
  ["ECHO_CONCURRENCY", "0", 'ECHO_CONCURRENCY="0": must be a whole number from 1 to 100000'],
  ["ECHO_CONCURRENCY", "1.5", 'ECHO_CONCURRENCY="1.5": must be a whole number from 1 to 100000'],
  ["ECHO_CONCURRENCY", "1e3", 'ECHO_CONCURRENCY="1e3": must be a whole number from 1 to 100000'],
  ["ECHO_QPS", "-5", `ECHO_QPS="-5": ${qps}`],
  ["ECHO_QPS", ".5", `ECHO_QPS=".5": ${qps}`],
  ["ECHO_QPS", "1000001", `ECHO_QPS="1000001": ${qps}`],
  ["ECHO_QPS", "Infinity", `ECHO_QPS="Infinity": ${qps}`],
  ["ECHO_COUNT", "-1", 'ECHO_COUNT="-1": must be a whole number from 0'],
  ["ECHO_COUNT", "ten", 'ECHO_COUNT="ten": must be a whole number from 0'],
  ["ECHO_DURATION_S", "1m", `ECHO_DURATION_S="1m": ${duration}`],
  ["ECHO_DURATION_S", "31536001", `ECHO_DURATION_S="31536001": ${duration}`],
  ["ECHO_INTERVAL_MS", "0.5", `ECHO_INTERVAL_MS="0.5": ${hour}`],
  ["ECHO_INTERVAL_MS", "3600001", `ECHO_INTERVAL_MS="3600001": ${hour}`],
  ["ECHO_DEADLINE_MS", "never", `ECHO_DEADLINE_MS="never": ${hour}`],
  [
    "ECHO_MESSAGE_BYTES",
    "67108865",
    'ECHO_MESSAGE_BYTES="67108865": must be a whole number of bytes from 0 to 67108864',
  ],
  [
    "ECHO_MESSAGE_BYTES",
    "1MB",
    'ECHO_MESSAGE_BYTES="1MB": must be a whole number of bytes from 0 to 67108864',
  ],
];

for (const [name, value, line] of CASES) {
  test(`${name}=${JSON.stringify(value)}`, () => assert.equal(complaint({ [name]: value }), line));
}

test("a timeout must not be longer than the interval", () => {
  assert.equal(
    complaint({ OTEL_METRIC_EXPORT_INTERVAL: "1000", OTEL_METRIC_EXPORT_TIMEOUT: "1001" }),
    `OTEL_METRIC_EXPORT_TIMEOUT="1001": ${timer}, at most OTEL_METRIC_EXPORT_INTERVAL`,
  );
});

test("a timeout that is not set is not reported with a bad interval", () => {
  for (const timeout of ["", " "]) {
    assert.equal(
      complaint({ OTEL_METRIC_EXPORT_INTERVAL: "-1", OTEL_METRIC_EXPORT_TIMEOUT: timeout }),
      `OTEL_METRIC_EXPORT_INTERVAL="-1": ${timer}`,
    );
  }
});

test("all bad variables are reported at once, one line each, in the order of the documentation", () => {
  const environment = Object.fromEntries(CASES.toReversed());
  const lines = complaint(environment).split("\n");
  const firstOfEach = CASES.filter(([name], index) =>
    CASES.findIndex((other) => other[0] === name) === index
  );
  assert.deepEqual(lines, firstOfEach.map(([, , line]) => line));
});

test("a value with line breaks or terminal controls stays on its line", () => {
  assert.equal(
    complaint({ ECHO_COUNT: "1\n\u001b[31m2" }),
    'ECHO_COUNT="1\\n\\u001b[31m2": must be a whole number from 0',
  );
});

/** Returns the error message for a bad environment. */
function complaint(environment: Record<string, string>): string {
  let text = "";
  assert.throws(() => readSettings(environment), (error: Error) => {
    assert.equal(error.name, "StartupError");
    text = error.message;
    return true;
  });
  return text;
}
