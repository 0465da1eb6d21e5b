/**
 * Negotiates the format of a response as promhttp does with OpenMetrics enabled.
 *
 * @module
 */

import { ESCAPING_SCHEMES, type EscapingScheme } from "./escaping.ts";
import { OPEN_METRICS, PROMETHEUS_TEXT, type TextFormat } from "./text/render.ts";

/** The format of a response, and its media type. */
export interface NegotiatedFormat {
  readonly format: TextFormat | "protobuf";
  readonly contentType: string;
  /** How to escape names with characters that Prometheus 2 does not know. */
  readonly escaping: EscapingScheme;
}

interface Clause {
  readonly type: string;
  readonly q: number;
  readonly params: ReadonlyMap<string, string>;
}

/** The media type of the protobuf format, and the message that it consists of. */
const PROTOBUF = "application/vnd.google.protobuf";
const PROTOBUF_MESSAGE = "io.prometheus.client.MetricFamily";

/**
 * Chooses the format for an Accept header. Protobuf must be named with its message and with
 * `encoding=delimited`, OpenMetrics in version 1.0.0, in version 0.0.1 or without a version, which
 * means 0.0.1. The text format 0.0.4 is the answer to anything else.
 *
 * @param accept the header, or undefined if there is none
 * @see https://prometheus.io/docs/instrumenting/content_negotiation/
 */
export function negotiateFormat(accept: string | undefined): NegotiatedFormat {
  let escaping: EscapingScheme = "underscores";
  for (const { type, params } of clausesByPreference(accept ?? "")) {
    // As in promhttp, the scheme of a clause that does not match applies to the next one.
    escaping = ESCAPING_SCHEMES.find((scheme) => scheme === params.get("escaping")) ?? escaping;
    if (type === PROTOBUF && params.get("proto") === PROTOBUF_MESSAGE) {
      if (params.get("encoding") !== "delimited") continue;
      const contentType =
        `${type}; proto=${PROTOBUF_MESSAGE}; encoding=delimited; escaping=${escaping}`;
      return { format: "protobuf", contentType, escaping };
    }
    if (type === "application/openmetrics-text") {
      const version = params.get("version") ?? "0.0.1";
      if (version !== "1.0.0" && version !== "0.0.1") continue;
      const contentType = `${type}; version=${version}; charset=utf-8; escaping=${escaping}`;
      return { format: OPEN_METRICS, contentType, escaping };
    }
    if (type === "text/plain" && (params.get("version") ?? "0.0.4") === "0.0.4") break;
  }
  const contentType = `text/plain; version=0.0.4; charset=utf-8; escaping=${escaping}`;
  return { format: PROMETHEUS_TEXT, contentType, escaping };
}

/** Parses the clauses, drops refused ones (`q=0`), and puts the most preferred one first. */
function clausesByPreference(accept: string): Clause[] {
  const clauses: Clause[] = [];
  for (const part of accept.split(",")) {
    const [type = "", ...rest] = part.split(";").map((text) => text.trim());
    const params = new Map<string, string>();
    for (const param of rest) {
      const equals = param.indexOf("=");
      if (equals > 0) params.set(param.slice(0, equals).trim(), param.slice(equals + 1).trim());
    }
    const q = Number(params.get("q") ?? 1);
    if (q > 0) clauses.push({ type, q, params });
  }
  return clauses.sort((a, b) => b.q - a.q);
}

/**
 * Returns whether to compress a response with gzip: only if the client prefers it to no compression.
 *
 * @param acceptEncoding the Accept-Encoding header, or undefined if there is none
 */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  let gzip: number | undefined;
  let any: number | undefined;
  let identity: number | undefined;
  for (const part of (acceptEncoding ?? "").toLowerCase().split(",")) {
    const [coding = "", ...params] = part.split(";").map((text) => text.trim());
    const weight = params.find((param) => param.startsWith("q="));
    const q = weight === undefined ? 1 : Number(weight.slice(2));
    if (coding === "gzip") gzip = q;
    else if (coding === "*") any = q;
    else if (coding === "identity") identity = q;
  }
  const wanted = gzip ?? any ?? 0;
  return wanted > 0 && wanted > (identity ?? any ?? 0);
}
