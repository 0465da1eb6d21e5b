import * as z from "zod/mini";
import { METRIC_NAMES } from "../../plugin/metrics/definitions.ts";
import { OPTIONAL_LABELS } from "../../plugin/metrics/labels.ts";
import { parseBearerToken, parseUser } from "../../prometheus/authentication.ts";
import { TRANSLATION_STRATEGIES } from "../../prometheus/families/translation.ts";
import { documented } from "./documentation.ts";
import { endpointSchema, suitsBothSignals, suitsSignal } from "./endpoints.ts";
import {
  areKeyPair,
  CERTIFICATE_FILE,
  certificateFileSchema,
  exporterCertificateFileSchema,
  exporterKeyFileSchema,
  fileSchema,
  isNoPath,
  KEY_FILE,
  keyFileSchema,
} from "./files.ts";
import { readVariables } from "./read.ts";
import {
  attributeKeysSchema,
  booleanSchema,
  choiceSchema,
  headersSchema,
  hostNamesSchema,
  hostSchema,
  integerSchema,
  listSchema,
  logLevelSchema,
  methodsSchema,
  namesSchema,
  numberSchema,
  pairsSchema,
  selectionSchema,
} from "./schemas.ts";
import { looksSecret, methodsLookSecret, pairsLookSecret } from "./secrets.ts";

/** Where metrics can go. */
const METRICS_EXPORTERS = ["prometheus", "otlp", "console", "none"] as const;

/** Where traces can go. */
const TRACES_EXPORTERS = ["otlp", "console", "none"] as const;

/** The values of `OTEL_EXPORTER_OTLP_PROTOCOL` (OTLP exporter specification). */
export const OTLP_PROTOCOLS = ["http/json", "http/protobuf", "grpc"] as const;
export type OtlpProtocol = typeof OTLP_PROTOCOLS[number];

/** The values of `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION` (OTLP exporter specification). */
const HISTOGRAM_AGGREGATIONS = [
  "explicit_bucket_histogram",
  "base2_exponential_bucket_histogram",
] as const;

/** The values of `OTEL_TRACES_SAMPLER` (OpenTelemetry environment variable specification). */
const SAMPLERS = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;
export type SamplerName = typeof SAMPLERS[number];

/** The supported values of `OTEL_PROPAGATORS`; `grpc-trace-bin` is that of gRFC A72. */
const PROPAGATORS = ["tracecontext", "baggage", "b3", "b3multi", "grpc-trace-bin", "none"] as const;
export type PropagatorName = typeof PROPAGATORS[number];

const protocolSchema = z.enum(OTLP_PROTOCOLS);
const PROTOCOL = OTLP_PROTOCOLS.join(", ");
const HEADERS = "name=value pairs separated by commas, in characters that headers can have, " +
  "values percent-encoded";
const ENDPOINT = "a URL that begins with http:// or https://; with grpc also host:port, " +
  "unix:path or unix:///path";
const timeoutSchema = integerSchema(1, 2 ** 31 - 1);
const TIMEOUT = "a whole number of milliseconds from 1 to 2147483647";
const compressionSchema = z.enum(["none", "gzip"]);
const COMPRESSION = "none or gzip";
const CLIENT_KEY = "a file that can be read, with the private key of " +
  "the client certificate in PEM, without a passphrase";
const CLIENT_CERTIFICATE = `${CERTIFICATE_FILE}, together with its key`;
const BOOLEAN = "true or false";

/** For URLs and headers: any part of a bad one may be a password or a key. */
const always = () => true;

/** A variable for one signal only, which overrides the one for both. */
function signalVariable<T extends z.ZodMiniType>(
  signal: "metrics" | "traces",
  name: string,
  schema: T,
  allowed: string,
  isSecret = looksSecret,
) {
  return documented(z.optional(schema), {
    description: `The same for ${signal} only; overrides OTEL_EXPORTER_OTLP_${name}`,
    allowed,
    default: "",
    isSecret,
  });
}

/**
 * Every environment variable that telemetry reads: the single source of parsing, defaults, error
 * texts, `--help` and the table in docs/settings.md. Names are OpenTelemetry's where it has one
 * (OpenTelemetry environment variable specification); the others begin with `GRPC_METRICS_`.
 */
export const variables = z.object({
  OTEL_METRICS_EXPORTER: documented(listSchema(METRICS_EXPORTERS, "prometheus"), {
    description: "Where metrics go; several are separated by commas",
    allowed: "prometheus, otlp, console or none; several, but not none, separated by commas",
    default: "prometheus",
  }),
  OTEL_TRACES_EXPORTER: documented(listSchema(TRACES_EXPORTERS, "none"), {
    description: "Where traces go; several are separated by commas",
    allowed: "otlp, console or none; several, but not none, separated by commas",
    default: "none",
  }),
  OTEL_EXPORTER_PROMETHEUS_HOST: documented(z.prefault(hostSchema, "127.0.0.1"), {
    description: "Address that /metrics listens on",
    allowed: "a host name or an IP address, such as 127.0.0.1, :: or 0.0.0.0",
    default: "127.0.0.1",
  }),
  OTEL_EXPORTER_PROMETHEUS_PORT: documented(z.optional(integerSchema(0, 65535)), {
    description: "Port that /metrics listens on; 0 is any free port, printed at start",
    allowed: "a port from 0 to 65535",
    default: "9464 (server), 9465 (client)",
  }),
  OTEL_EXPORTER_OTLP_PROTOCOL: documented(z.prefault(protocolSchema, "http/json"), {
    description: "How metrics and traces are pushed to a Collector",
    allowed: PROTOCOL,
    default: "http/json",
  }),
  OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: signalVariable(
    "metrics",
    "PROTOCOL",
    protocolSchema,
    PROTOCOL,
  ),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: signalVariable(
    "traces",
    "PROTOCOL",
    protocolSchema,
    PROTOCOL,
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: documented(z.optional(endpointSchema), {
    description: "URL of the Collector; with http, /v1/metrics or /v1/traces is appended",
    allowed: ENDPOINT,
    isSecret: always,
    default: "http://localhost:4318, or 4317 for grpc",
  }),
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: documented(z.optional(endpointSchema), {
    description: "URL for metrics only, used as it is; overrides OTEL_EXPORTER_OTLP_ENDPOINT",
    allowed: ENDPOINT,
    isSecret: always,
    default: "",
  }),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: documented(z.optional(endpointSchema), {
    description: "URL for traces only, used as it is; overrides OTEL_EXPORTER_OTLP_ENDPOINT",
    allowed: ENDPOINT,
    isSecret: always,
    default: "",
  }),
  OTEL_EXPORTER_OTLP_INSECURE: documented(z.optional(booleanSchema), {
    description: "With grpc: true switches TLS off for endpoints without http:// or https://",
    allowed: BOOLEAN,
    default: "false; true for unix:",
  }),
  OTEL_EXPORTER_OTLP_METRICS_INSECURE: signalVariable(
    "metrics",
    "INSECURE",
    booleanSchema,
    BOOLEAN,
  ),
  OTEL_EXPORTER_OTLP_TRACES_INSECURE: signalVariable("traces", "INSECURE", booleanSchema, BOOLEAN),
  OTEL_EXPORTER_OTLP_HEADERS: documented(z.optional(headersSchema), {
    description: "Headers of each export, such as an API key; never shown",
    allowed: HEADERS,
    default: "",
    isSecret: always,
  }),
  OTEL_EXPORTER_OTLP_METRICS_HEADERS: documented(z.optional(headersSchema), {
    description: "The same for metrics only; overrides headers of the same name",
    allowed: HEADERS,
    default: "",
    isSecret: always,
  }),
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: documented(z.optional(headersSchema), {
    description: "The same for traces only; overrides headers of the same name",
    allowed: HEADERS,
    default: "",
    isSecret: always,
  }),
  OTEL_EXPORTER_OTLP_TIMEOUT: documented(z.prefault(timeoutSchema, "10000"), {
    description: "Longest time of one export to a Collector in milliseconds, retries included",
    allowed: TIMEOUT,
    default: "10000",
  }),
  OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: signalVariable("metrics", "TIMEOUT", timeoutSchema, TIMEOUT),
  OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: signalVariable("traces", "TIMEOUT", timeoutSchema, TIMEOUT),
  OTEL_EXPORTER_OTLP_COMPRESSION: documented(z.prefault(compressionSchema, "none"), {
    description: "Compression of exports to a Collector",
    allowed: COMPRESSION,
    default: "none",
  }),
  OTEL_EXPORTER_OTLP_METRICS_COMPRESSION: signalVariable(
    "metrics",
    "COMPRESSION",
    compressionSchema,
    COMPRESSION,
  ),
  OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: signalVariable(
    "traces",
    "COMPRESSION",
    compressionSchema,
    COMPRESSION,
  ),
  OTEL_EXPORTER_OTLP_CERTIFICATE: documented(z.optional(exporterCertificateFileSchema), {
    description: "CA certificates that verify the Collector's certificate, in PEM",
    allowed: CERTIFICATE_FILE,
    isSecret: isNoPath,
    default: "the runtime's",
  }),
  OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE: signalVariable(
    "metrics",
    "CERTIFICATE",
    exporterCertificateFileSchema,
    CERTIFICATE_FILE,
    isNoPath,
  ),
  OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE: signalVariable(
    "traces",
    "CERTIFICATE",
    exporterCertificateFileSchema,
    CERTIFICATE_FILE,
    isNoPath,
  ),
  OTEL_EXPORTER_OTLP_CLIENT_KEY: documented(z.optional(exporterKeyFileSchema), {
    description: "Key of the client certificate for a Collector, in PEM",
    allowed: CLIENT_KEY,
    isSecret: isNoPath,
    default: "",
  }),
  OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY: signalVariable(
    "metrics",
    "CLIENT_KEY",
    exporterKeyFileSchema,
    CLIENT_KEY,
    isNoPath,
  ),
  OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: signalVariable(
    "traces",
    "CLIENT_KEY",
    exporterKeyFileSchema,
    CLIENT_KEY,
    isNoPath,
  ),
  OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: documented(z.optional(exporterCertificateFileSchema), {
    description: "Client certificate for a Collector, in PEM",
    allowed: CLIENT_CERTIFICATE,
    isSecret: isNoPath,
    default: "",
  }),
  OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE: signalVariable(
    "metrics",
    "CLIENT_CERTIFICATE",
    exporterCertificateFileSchema,
    CLIENT_CERTIFICATE,
    isNoPath,
  ),
  OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE: signalVariable(
    "traces",
    "CLIENT_CERTIFICATE",
    exporterCertificateFileSchema,
    CLIENT_CERTIFICATE,
    isNoPath,
  ),
  OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: documented(
    z.prefault(choiceSchema(HISTOGRAM_AGGREGATIONS), "explicit_bucket_histogram"),
    {
      description: "With otlp: the kind of the histograms of gRPC's durations, for all exporters",
      allowed: HISTOGRAM_AGGREGATIONS.join(" or "),
      default: "explicit_bucket_histogram",
    },
  ),
  OTEL_METRIC_EXPORT_INTERVAL: documented(z.prefault(integerSchema(1, 2 ** 31 - 1), "60000"), {
    description: "Milliseconds between two exports, to a Collector or the console",
    allowed: "a whole number of milliseconds from 1 to 2147483647",
    default: "60000",
  }),
  OTEL_METRIC_EXPORT_TIMEOUT: documented(z.optional(integerSchema(1, 2 ** 31 - 1)), {
    description: "Longest time of one export in milliseconds, also of the last one at shutdown",
    allowed: `${TIMEOUT}, at most OTEL_METRIC_EXPORT_INTERVAL`,
    default: "30000, or the interval if that is less; 5000 at shutdown",
  }),
  OTEL_TRACES_SAMPLER: documented(
    z.prefault(choiceSchema(SAMPLERS), "parentbased_always_on"),
    {
      description: "Which traces are recorded",
      allowed: SAMPLERS.join(", "),
      default: "parentbased_always_on",
    },
  ),
  OTEL_TRACES_SAMPLER_ARG: documented(z.prefault(numberSchema(0, 1), "1"), {
    description: "Share of traces that the traceidratio samplers record",
    allowed: "a number from 0 to 1",
    default: "1",
  }),
  OTEL_PROPAGATORS: documented(listSchema(PROPAGATORS, "tracecontext,baggage"), {
    description:
      "Headers that carry the client's span to the server; several are separated by commas",
    allowed: "tracecontext, baggage, b3, b3multi, grpc-trace-bin or none; several, but not none, " +
      "separated by commas",
    default: "tracecontext,baggage",
  }),
  OTEL_SERVICE_NAME: documented(z.optional(z.string()), {
    description: "Resource attribute service.name",
    allowed: "any text",
    default: "echo-server, echo-client",
  }),
  OTEL_RESOURCE_ATTRIBUTES: documented(z.optional(pairsSchema), {
    description: "Further resource attributes, shown in target_info",
    allowed: "key=value pairs separated by commas, values percent-encoded",
    isSecret: pairsLookSecret,
    default: "",
  }),
  OTEL_SDK_DISABLED: documented(z.prefault(booleanSchema, "false"), {
    description: "true switches all telemetry off",
    allowed: "true or false",
    default: "false",
  }),
  OTEL_LOG_LEVEL: documented(z.prefault(logLevelSchema, "warn"), {
    description: "Level of OpenTelemetry's own log, which goes to standard error",
    allowed: "none, error, warn, info, debug, verbose or all",
    default: "warn",
  }),
  OTEL_SEMCONV_STABILITY_OPT_IN: documented(z.prefault(namesSchema, ""), {
    description:
      "rpc: durations of calls are rpc.client.call.duration and rpc.server.call.duration, " +
      "as OpenTelemetry names them; rpc/dup: those of gRPC stay too",
    allowed: "names separated by commas; others than rpc and rpc/dup are ignored",
    default: "",
  }),
  GRPC_METRICS_ENABLED: documented(z.prefault(selectionSchema(METRIC_NAMES), ""), {
    description: "Metrics of the plugin to record besides those of gRFC A66, such as grpc.tcp.*",
    allowed: "names of metrics of the plugin, or their beginnings with *, separated by commas",
    default: "",
  }),
  GRPC_METRICS_OPTIONAL_LABELS: documented(z.prefault(selectionSchema(OPTIONAL_LABELS), ""), {
    description: "Labels to record besides the usual ones, such as grpc.disconnect_error",
    allowed: `${OPTIONAL_LABELS.join(", ")}, separated by commas`,
    default: "",
  }),
  GRPC_METRICS_EXCLUDED_METHODS: documented(z.optional(methodsSchema), {
    description: "Methods whose calls are not recorded, neither in metrics nor in traces",
    allowed: "package.Service/Method or package.Service/*, separated by commas",
    isSecret: methodsLookSecret,
    default: "",
  }),
  // Secrets come from files: too many can see an environment.
  GRPC_METRICS_TLS_CERT: documented(z.optional(certificateFileSchema), {
    description: "Certificate of /metrics, in PEM; switches TLS on",
    allowed: `${CERTIFICATE_FILE}, together with its key`,
    default: "",
    isSecret: isNoPath,
  }),
  GRPC_METRICS_TLS_KEY: documented(z.optional(keyFileSchema), {
    description: "Key of that certificate, in PEM",
    allowed: KEY_FILE,
    default: "",
    isSecret: isNoPath,
  }),
  GRPC_METRICS_TLS_CLIENT_CA: documented(z.optional(certificateFileSchema), {
    description:
      "CA certificates that verify the clients of /metrics, in PEM; switches client certificates on",
    allowed: `${CERTIFICATE_FILE}, together with GRPC_METRICS_TLS_CERT`,
    default: "",
    isSecret: isNoPath,
  }),
  GRPC_METRICS_BEARER_TOKEN_FILE: documented(z.optional(fileSchema(parseBearerToken)), {
    description: "File with the bearer token that /metrics asks for",
    allowed: "a file that can be read, with one token without blanks",
    default: "",
    isSecret: isNoPath,
  }),
  GRPC_METRICS_BASIC_AUTH_FILE: documented(z.optional(fileSchema(parseUser)), {
    description:
      "File with the name and password that /metrics asks for; if a token is set too, either is accepted",
    allowed: "a file that can be read, with one line of name:password",
    default: "",
    isSecret: isNoPath,
  }),
  GRPC_METRICS_ALLOWED_HOSTS: documented(z.optional(hostNamesSchema), {
    description: "Host names with a dot that /metrics answers to; * allows any",
    allowed: "host names without ports, separated by commas, or *",
    default: "none on loopback, any on other addresses",
  }),
  GRPC_METRICS_TRANSLATION_STRATEGY: documented(
    z.prefault(z.enum(TRANSLATION_STRATEGIES), TRANSLATION_STRATEGIES[0]),
    {
      description:
        "How names become those of metrics and labels on /metrics; rules and dashboards need the default",
      allowed: TRANSLATION_STRATEGIES.join(", "),
      default: TRANSLATION_STRATEGIES[0],
    },
  ),
  GRPC_METRICS_RESOURCE_LABELS: documented(z.optional(attributeKeysSchema), {
    description: "Resource attributes that every series on /metrics has as labels",
    allowed: "keys of attributes, such as service.name, separated by commas",
    default: "",
  }),
  GRPC_METRICS_NATIVE_HISTOGRAMS: documented(z.prefault(booleanSchema, "false"), {
    description:
      "With prometheus: true makes gRPC's durations native histograms, for all exporters",
    allowed: BOOLEAN,
    default: "false",
  }),
  GRPC_METRICS_PAGE: documented(z.prefault(booleanSchema, "true"), {
    description: "Whether / of /metrics' port is a live page; false leaves links only",
    allowed: BOOLEAN,
    default: "true",
  }),
}).check(
  z.refine(
    ({ OTEL_METRIC_EXPORT_TIMEOUT: timeout, OTEL_METRIC_EXPORT_INTERVAL: interval }) =>
      timeout === undefined || !(timeout > interval),
    // Checked even when another variable is bad, so that one start reports all errors.
    { path: ["OTEL_METRIC_EXPORT_TIMEOUT"], when: () => true },
  ),
  z.refine(
    (values) =>
      areKeyPair(
        values.OTEL_EXPORTER_OTLP_CLIENT_KEY,
        values.OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE,
      ),
    { path: ["OTEL_EXPORTER_OTLP_CLIENT_KEY"], when: () => true },
  ),
  z.refine((values) =>
    areKeyPair(
      values.OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY,
      values.OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE,
    ), { path: ["OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY"], when: () => true }),
  z.refine((values) =>
    areKeyPair(
      values.OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY,
      values.OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE,
    ), { path: ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"], when: () => true }),
  z.refine(suitsBothSignals, { path: ["OTEL_EXPORTER_OTLP_ENDPOINT"], when: () => true }),
  z.refine((values) => suitsSignal(values, "METRICS"), {
    path: ["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"],
    when: () => true,
  }),
  z.refine((values) => suitsSignal(values, "TRACES"), {
    path: ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"],
    when: () => true,
  }),
  z.refine((values) => areKeyPair(values.GRPC_METRICS_TLS_KEY, values.GRPC_METRICS_TLS_CERT), {
    path: ["GRPC_METRICS_TLS_KEY"],
    when: () => true,
  }),
  z.refine((values) => !values.GRPC_METRICS_TLS_CLIENT_CA || values.GRPC_METRICS_TLS_CERT, {
    path: ["GRPC_METRICS_TLS_CLIENT_CA"],
    when: () => true,
  }),
);

/** The parsed environment; each name is documented in {@link variables}. */
export type Settings = z.output<typeof variables>;

/**
 * Reads the variables of telemetry.
 *
 * @throws {StartupError} with one line for every bad variable
 */
export function readSettings(environment?: Readonly<Record<string, string | undefined>>): Settings {
  return readVariables(variables, environment);
}
