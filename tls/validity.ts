import type { X509Certificate } from "node:crypto";
import { parseCertificates } from "./pem.ts";
import type { Validity } from "./watched-files.ts";

/** The paths of the files with certificates in PEM. */
export interface CertificatePaths {
  /** Trusted authorities. One valid authority is enough: expired ones may stay in the file. */
  readonly authorities: string | undefined;
  /** The own certificate and any intermediate ones. All of them must be valid. */
  readonly certificate: string | undefined;
}

/**
 * Returns when the certificates in a set of files are valid.
 *
 * @param paths the paths of all the files
 * @param contents the contents of the files, in the order of the paths
 * @throws {Error} if a certificate is malformed
 * @see https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5
 */
export function certificateValidity(
  paths: readonly string[],
  contents: readonly Buffer[],
  { authorities, certificate }: CertificatePaths,
): Validity {
  const periodsOf = (path: string | undefined): Period[] => {
    const content = path === undefined ? undefined : contents[paths.indexOf(path)];
    return content === undefined ? [] : parseCertificates(content).map(periodOf);
  };
  const [trusted, own] = [periodsOf(authorities), periodsOf(certificate)];
  return {
    isValid(nowMs) {
      const isNow = (period: Period) => faultOf(period, nowMs) === undefined;
      return own.every(isNow) && (trusted.length === 0 || trusted.some(isNow));
    },
    warnings: (nowMs) => [
      ...new Set([...warning(certificate, own, nowMs), ...warning(authorities, trusted, nowMs)]),
    ],
  };
}

/** The validity period of a certificate, in milliseconds since the Unix epoch. */
interface Period {
  readonly subject: string;
  readonly fromMs: number;
  readonly toMs: number;
}

function periodOf({ subject, validFrom, validTo }: X509Certificate): Period {
  return {
    // All runtimes put each part of the name on its own line; Deno keeps other control characters.
    subject: (subject ?? "").replace(/\p{Cc}+/gu, ", "),
    fromMs: Date.parse(validFrom),
    toMs: Date.parse(validTo),
  };
}

function faultOf({ subject, fromMs, toMs }: Period, nowMs: number): string | undefined {
  if (nowMs > toMs) return `the certificate of ${subject} expired on ${dateOf(toMs)}`;
  if (nowMs < fromMs) return `the certificate of ${subject} is not valid before ${dateOf(fromMs)}`;
  return undefined;
}

/** Returns one line if some certificates of a file are not valid now, otherwise nothing. */
function warning(path: string | undefined, periods: readonly Period[], nowMs: number): string[] {
  const [first, ...others] = periods.map((period) => faultOf(period, nowMs))
    .filter((fault) => fault !== undefined);
  if (first === undefined) return [];
  const more = others.length === 0 ? "" : ` (and ${others.length} more like it)`;
  return [`${path}: ${first}${more}`];
}

/** Formats a time in UTC, to the second: certificates are no more precise. */
function dateOf(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(".000", "");
}
