import { z } from "zod";
import { OTLP_PROTOCOLS } from "../otlp/protocols.ts";
import { PROPAGATORS, SAMPLERS } from "../tracing/names.ts";
import { addressSchema, hostSchema } from "./address.ts";
import {
  booleanSchema,
  documented,
  headersSchema,
  integerSchema,
  logLevelSchema,
  numberSchema,
  pairsSchema,
  urlSchema,
} from "./schemas.ts";
import { looksSecret, pairsLookSecret } from "./secrets.ts";
import { grpcTlsVariables, metricsSecurityVariables } from "./security-variables.ts";
import {
  areKeyPair,
  exporterCertificateFileSchema,
  exporterKeyFileSchema,
  isNoPath,
} from "./tls-files.ts";

/** Where metrics can go. */
export const METRICS_EXPORTERS = ["prometheus", "otlp", "console", "none"] as const;
export type MetricsExporter = typeof METRICS_EXPORTERS[number];

/** Where traces can go. */
const TRACES_EXPORTERS = ["otlp", "console", "none"] as const;

/** The methods of `echo.proto`, one of each kind. */
export const ECHO_METHODS = [
  "UnaryEcho",
  "ServerStreamingEcho",
  "ClientStreamingEcho",
  "BidirectionalStreamingEcho",
] as const;

/** Several of some names, or `none` by itself. */
function listSchema<const T extends readonly string[]>(names: T) {
  return z.string().toLowerCase().transform((list) => [
    ...new Set(list.split(",").map((name) => name.trim())),
  ]).pipe(z.array(z.enum(names))).refine(
    (chosen: readonly string[]) => !chosen.includes("none") || chosen.length === 1,
  );
}

const protocolSchema = z.enum(OTLP_PROTOCOLS);
const PROTOCOL = OTLP_PROTOCOLS.join(", ");
const HEADERS = "name=value pairs separated by commas, in characters that headers can have, " +
  "values percent-encoded";
const timeoutSchema = integerSchema(1, 2 ** 31 - 1);
const TIMEOUT = "a whole number of milliseconds from 1 to 2147483647";
const compressionSchema = z.enum(["none", "gzip"]);
const COMPRESSION = "none or gzip";
const CERTIFICATE = "a file that can be read, with a certificate in PEM";
const CLIENT_KEY = "a file that can be read, with the private key of " +
  "the client certificate in PEM, without a passphrase";
const CLIENT_CERTIFICATE = "a file that can be read, with a certificate in PEM, " +
  "together with its key";

/** URLs and headers may hold a password or a key wherever they are wrong. */
const always = () => true;

/** A variable for one signal alone, which wins over the one for both. */
function alone<T extends z.ZodType>(
  signal: "metrics" | "traces",
  name: string,
  schema: T,
  allowed: string,
  isSecret = looksSecret,
) {
  return documented(schema.optional(), {
    description: `The same for ${signal} alone, instead of OTEL_EXPORTER_OTLP_${name}`,
    allowed,
    initially: "",
    isSecret,
  });
}

/**
 * Every environment variable that the scripts read. This is the single source of parsing, defaults,
 * error texts, `--help` and the README's table. Names are OpenTelemetry's wherever it has one
 * (OpenTelemetry environment variable specification); the others begin with `ECHO_` or `GRPC_`.
 */
export const variables = z.object({
  OTEL_METRICS_EXPORTER: documented(listSchema(METRICS_EXPORTERS).prefault("prometheus"), {
    description: "Where metrics go; several are separated by commas",
    allowed: "prometheus, otlp, console or none; several, but not none, separated by commas",
    initially: "prometheus",
  }),
  OTEL_TRACES_EXPORTER: documented(listSchema(TRACES_EXPORTERS).prefault("none"), {
    description: "Where traces go; several are separated by commas",
    allowed: "otlp, console or none; several, but not none, separated by commas",
    initially: "none",
  }),
  OTEL_EXPORTER_PROMETHEUS_HOST: documented(hostSchema.prefault("127.0.0.1"), {
    description: "Address that /metrics listens on",
    allowed: "a host name or an IP address, such as 127.0.0.1, :: or 0.0.0.0",
    initially: "127.0.0.1",
  }),
  OTEL_EXPORTER_PROMETHEUS_PORT: documented(integerSchema(0, 65535).optional(), {
    description: "Port that /metrics listens on; 0 is any free one, printed at start",
    allowed: "a port from 0 to 65535",
    initially: "9464 (server), 9465 (client)",
  }),
  OTEL_EXPORTER_OTLP_PROTOCOL: documented(protocolSchema.prefault("http/json"), {
    description: "How metrics and traces are pushed to a Collector",
    allowed: PROTOCOL,
    initially: "http/json",
  }),
  OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: alone("metrics", "PROTOCOL", protocolSchema, PROTOCOL),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: alone("traces", "PROTOCOL", protocolSchema, PROTOCOL),
  OTEL_EXPORTER_OTLP_ENDPOINT: documented(urlSchema.optional(), {
    description: "The Collector; /v1/metrics or /v1/traces is added for http",
    allowed: "a URL that begins with http:// or https://",
    isSecret: always,
    initially: "http://localhost:4318, or 4317 for grpc",
  }),
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: documented(urlSchema.optional(), {
    description: "Where metrics are pushed to, as it is, instead of the above",
    allowed: "a URL that begins with http:// or https://",
    isSecret: always,
    initially: "",
  }),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: documented(urlSchema.optional(), {
    description: "Where traces are pushed to, as it is, instead of OTEL_EXPORTER_OTLP_ENDPOINT",
    allowed: "a URL that begins with http:// or https://",
    isSecret: always,
    initially: "",
  }),
  OTEL_EXPORTER_OTLP_HEADERS: documented(headersSchema.optional(), {
    description: "Headers of each export, such as an API key; never shown",
    allowed: HEADERS,
    initially: "",
    isSecret: always,
  }),
  OTEL_EXPORTER_OTLP_METRICS_HEADERS: documented(headersSchema.optional(), {
    description: "The same for metrics alone; a header in both is taken from here",
    allowed: HEADERS,
    initially: "",
    isSecret: always,
  }),
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: documented(headersSchema.optional(), {
    description: "The same for traces alone; a header in both is taken from here",
    allowed: HEADERS,
    initially: "",
    isSecret: always,
  }),
  OTEL_EXPORTER_OTLP_TIMEOUT: documented(timeoutSchema.prefault("10000"), {
    description: "Milliseconds that one export to a Collector may take, retries included",
    allowed: TIMEOUT,
    initially: "10000",
  }),
  OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: alone("metrics", "TIMEOUT", timeoutSchema, TIMEOUT),
  OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: alone("traces", "TIMEOUT", timeoutSchema, TIMEOUT),
  OTEL_EXPORTER_OTLP_COMPRESSION: documented(compressionSchema.prefault("none"), {
    description: "Compression of exports to a Collector",
    allowed: COMPRESSION,
    initially: "none",
  }),
  OTEL_EXPORTER_OTLP_METRICS_COMPRESSION: alone(
    "metrics",
    "COMPRESSION",
    compressionSchema,
    COMPRESSION,
  ),
  OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: alone(
    "traces",
    "COMPRESSION",
    compressionSchema,
    COMPRESSION,
  ),
  OTEL_EXPORTER_OTLP_CERTIFICATE: documented(exporterCertificateFileSchema.optional(), {
    description: "Certificates that a Collector's is checked against, in PEM",
    allowed: CERTIFICATE,
    isSecret: isNoPath,
    initially: "the runtime's",
  }),
  OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE: alone(
    "metrics",
    "CERTIFICATE",
    exporterCertificateFileSchema,
    CERTIFICATE,
    isNoPath,
  ),
  OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE: alone(
    "traces",
    "CERTIFICATE",
    exporterCertificateFileSchema,
    CERTIFICATE,
    isNoPath,
  ),
  OTEL_EXPORTER_OTLP_CLIENT_KEY: documented(exporterKeyFileSchema.optional(), {
    description: "Key of the client certificate for a Collector, in PEM",
    allowed: CLIENT_KEY,
    isSecret: isNoPath,
    initially: "",
  }),
  OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY: alone(
    "metrics",
    "CLIENT_KEY",
    exporterKeyFileSchema,
    CLIENT_KEY,
    isNoPath,
  ),
  OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: alone(
    "traces",
    "CLIENT_KEY",
    exporterKeyFileSchema,
    CLIENT_KEY,
    isNoPath,
  ),
  OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: documented(exporterCertificateFileSchema.optional(), {
    description: "Client certificate for a Collector, in PEM",
    allowed: CLIENT_CERTIFICATE,
    isSecret: isNoPath,
    initially: "",
  }),
  OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE: alone(
    "metrics",
    "CLIENT_CERTIFICATE",
    exporterCertificateFileSchema,
    CLIENT_CERTIFICATE,
    isNoPath,
  ),
  OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE: alone(
    "traces",
    "CLIENT_CERTIFICATE",
    exporterCertificateFileSchema,
    CLIENT_CERTIFICATE,
    isNoPath,
  ),
  OTEL_METRIC_EXPORT_INTERVAL: documented(integerSchema(1, 2 ** 31 - 1).prefault("60000"), {
    description: "Milliseconds between two exports, to a Collector or the console",
    allowed: "a whole number of milliseconds from 1 to 2147483647",
    initially: "60000",
  }),
  OTEL_METRIC_EXPORT_TIMEOUT: documented(integerSchema(1, 2 ** 31 - 1).optional(), {
    description: "Milliseconds that one export may take, and the last one at shutdown",
    allowed:
      "a whole number of milliseconds from 1 to 2147483647, at most OTEL_METRIC_EXPORT_INTERVAL",
    initially: "30000, or the interval if that is less; 5000 at shutdown",
  }),
  OTEL_TRACES_SAMPLER: documented(
    z.string().toLowerCase().pipe(z.enum(SAMPLERS)).prefault("parentbased_always_on"),
    {
      description: "Which traces are recorded",
      allowed: SAMPLERS.join(", "),
      initially: "parentbased_always_on",
    },
  ),
  OTEL_TRACES_SAMPLER_ARG: documented(numberSchema(0, 1).prefault("1"), {
    description: "The share of traces that a sampler with traceidratio records",
    allowed: "a number from 0 to 1",
    initially: "1",
  }),
  OTEL_PROPAGATORS: documented(listSchema(PROPAGATORS).prefault("tracecontext,baggage"), {
    description: "Headers that tell the server of the client's span; several separated by commas",
    allowed: "tracecontext, baggage, grpc-trace-bin or none; several, but not none, " +
      "separated by commas",
    initially: "tracecontext,baggage",
  }),
  OTEL_SERVICE_NAME: documented(z.string().optional(), {
    description: "Resource attribute service.name",
    allowed: "any text",
    initially: "echo-server, echo-client",
  }),
  OTEL_RESOURCE_ATTRIBUTES: documented(pairsSchema.optional(), {
    description: "Further resource attributes, shown in target_info",
    allowed: "key=value pairs separated by commas, values percent-encoded",
    isSecret: pairsLookSecret,
    initially: "",
  }),
  OTEL_SDK_DISABLED: documented(booleanSchema.prefault("false"), {
    description: "true switches telemetry off altogether",
    allowed: "true or false",
    initially: "false",
  }),
  OTEL_LOG_LEVEL: documented(logLevelSchema.prefault("warn"), {
    description: "What OpenTelemetry's own log shows, on standard error",
    allowed: "none, error, warn, info, debug, verbose or all",
    initially: "warn",
  }),
  ...metricsSecurityVariables,
  ...grpcTlsVariables,
  ECHO_ADDR: documented(addressSchema.prefault(":50051"), {
    description:
      "Where the server listens and the client connects; :port is every address, or this host",
    allowed: "host:port or :port, with a port from 0 to 65535",
    initially: ":50051",
  }),
  ECHO_DELAY_MS: documented(integerSchema(0, 3_600_000).prefault("2000"), {
    description: "Server: milliseconds before a call is answered",
    allowed: "a whole number of milliseconds from 0 to 3600000",
    initially: "2000",
  }),
  ECHO_METHOD: documented(z.enum(ECHO_METHODS).prefault("UnaryEcho"), {
    description: "Client: the method to call",
    allowed: ECHO_METHODS.join(", "),
    initially: "UnaryEcho",
  }),
  ECHO_CONCURRENCY: documented(integerSchema(1, 100_000).optional(), {
    description: "Client: calls pending at a time",
    allowed: "a whole number from 1 to 100000",
    initially: "1",
  }),
  ECHO_QPS: documented(numberSchema(0, 1_000_000).optional(), {
    description: "Client: calls started per second; 0 is no limit",
    allowed: "a number from 0 to 1000000",
    initially: "0",
  }),
  ECHO_COUNT: documented(integerSchema(0, Number.MAX_SAFE_INTEGER).prefault("0"), {
    description: "Client: calls to make; 0 is no limit",
    allowed: "a whole number from 0",
    initially: "0",
  }),
  ECHO_DURATION_S: documented(numberSchema(0, 31_536_000).prefault("0"), {
    description: "Client: seconds to go on for; 0 is until stopped",
    allowed: "a number of seconds from 0 to 31536000",
    initially: "0",
  }),
  ECHO_INTERVAL_MS: documented(integerSchema(0, 3_600_000).optional(), {
    description: "Client: pause in milliseconds after each reply",
    allowed: "a whole number of milliseconds from 0 to 3600000",
    initially: "1000; 0 if ECHO_CONCURRENCY or ECHO_QPS is set",
  }),
  ECHO_DEADLINE_MS: documented(integerSchema(0, 3_600_000).prefault("0"), {
    description: "Client: deadline of each call in milliseconds; 0 is none",
    allowed: "a whole number of milliseconds from 0 to 3600000",
    initially: "0",
  }),
  ECHO_MESSAGE_BYTES: documented(integerSchema(0, 64 * 1024 * 1024).prefault("0"), {
    description: "Client: length of the message in bytes; 0 is the codelab's text",
    allowed: "a whole number of bytes from 0 to 67108864",
    initially: "0",
  }),
}).refine(
  (values) => !((values.OTEL_METRIC_EXPORT_TIMEOUT ?? 0) > values.OTEL_METRIC_EXPORT_INTERVAL),
  // Checked even when another variable is bad: all that is wrong is said at once.
  { path: ["OTEL_METRIC_EXPORT_TIMEOUT"], when: () => true },
).refine(
  (values) =>
    areKeyPair(values.OTEL_EXPORTER_OTLP_CLIENT_KEY, values.OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE),
  { path: ["OTEL_EXPORTER_OTLP_CLIENT_KEY"], when: () => true },
).refine(
  (values) =>
    areKeyPair(
      values.OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY,
      values.OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE,
    ),
  { path: ["OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY"], when: () => true },
).refine(
  (values) =>
    areKeyPair(
      values.OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY,
      values.OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE,
    ),
  { path: ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"], when: () => true },
).refine(
  (values) => areKeyPair(values.GRPC_TLS_KEY, values.GRPC_TLS_CERT),
  { path: ["GRPC_TLS_KEY"], when: () => true },
).refine(
  (values) => values.GRPC_TLS_CLIENT_AUTH !== true || (values.GRPC_TLS_CERT && values.GRPC_TLS_CA),
  { path: ["GRPC_TLS_CLIENT_AUTH"], when: () => true },
).refine(
  (values) => areKeyPair(values.GRPC_METRICS_TLS_KEY, values.GRPC_METRICS_TLS_CERT),
  { path: ["GRPC_METRICS_TLS_KEY"], when: () => true },
).refine(
  (values) => !values.GRPC_METRICS_TLS_CLIENT_CA || values.GRPC_METRICS_TLS_CERT,
  { path: ["GRPC_METRICS_TLS_CLIENT_CA"], when: () => true },
);

/** The parsed environment; each name is documented in {@link variables}. */
export type Settings = z.output<typeof variables>;
