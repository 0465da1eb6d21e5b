import * as z from "zod/mini";
import { HOST_CHARACTER, IPV6, urlSchema } from "./schemas.ts";

/** A Unix socket as grpc-js takes it: `unix:path` or `unix:///absolute/path`. */
export const unixSocketSchema = z.string().check(
  z.regex(/^unix:(\/\/(?=\/)|(?!\/\/))[^\p{Cc}]*[^\p{Cc}\s/]$/u),
);

/** The forms that grpc-js takes for one host: `host:port`, `dns:host:port` and `dns:///host:port`. */
const GRPC_HOST = new RegExp(
  `^(?:(?:dns|ipv4|ipv6):(?:///)?)?((?:\\[${IPV6}\\]|${HOST_CHARACTER}+):[1-9]\\d{0,4})$`,
  "i",
);

/** Returns `host:port` of a gRPC target with one host; undefined for other values. */
export function grpcHostAndPort(target: string): string | undefined {
  const [, hostAndPort] = GRPC_HOST.exec(target) ?? [];
  return URL.canParse(`https://${hostAndPort}`) ? hostAndPort : undefined;
}

/** Where OTLP goes: an http or https URL, or a target that only gRPC can use. */
export const endpointSchema = z.union([
  urlSchema,
  unixSocketSchema,
  z.string().check(z.refine((target) => grpcHostAndPort(target) !== undefined)),
]);

/** Returns whether an endpoint is an http or https URL, which every protocol can use. */
export function isUrl(endpoint: string): boolean {
  return urlSchema.safeParse(endpoint).success;
}

const SIGNALS = ["METRICS", "TRACES"] as const;
type SignalName = typeof SIGNALS[number];

/** What decides whether endpoints suit their protocols. A value that was refused may be missing. */
type EndpointSettings =
  & Readonly<Partial<Record<`OTEL_${SignalName}_EXPORTER`, readonly string[]>>>
  & Readonly<
    Partial<
      Record<
        `OTEL_EXPORTER_OTLP_${"" | `${SignalName}_`}${"PROTOCOL" | "ENDPOINT"}`,
        string | undefined
      >
    >
  >;

/** Returns whether the endpoint that one signal has for itself suits its protocol. */
export function suitsSignal(values: EndpointSettings, signal: SignalName): boolean {
  const endpoint = values[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`];
  return endpoint === undefined || isUrl(endpoint) || usesGrpc(values, signal);
}

/**
 * Returns whether the endpoint for both signals suits their protocols. One that is no URL suits gRPC,
 * unless a signal is exported to it over HTTP.
 */
export function suitsBothSignals(values: EndpointSettings): boolean {
  const endpoint = values.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (endpoint === undefined || isUrl(endpoint)) return true;
  const users = SIGNALS.filter((signal) => !values[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`]);
  const overHttp = users.filter((signal) => !usesGrpc(values, signal));
  const isExported = (signal: SignalName) => values[`OTEL_${signal}_EXPORTER`]?.includes("otlp");
  return overHttp.length === 0 || (overHttp.length < users.length && !overHttp.some(isExported));
}

function usesGrpc(values: EndpointSettings, signal: SignalName): boolean {
  const own = values[`OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`];
  return (own ?? values.OTEL_EXPORTER_OTLP_PROTOCOL) === "grpc";
}
