import type { X509Certificate } from "node:crypto";
import { parseCertificates } from "./pem.ts";
import type { Validity } from "./watched-files.ts";

/** The paths of those files that hold certificates in PEM. */
export interface CertificatePaths {
  /** Whom one believes. One authority that is valid is enough: old ones may stay in the file. */
  readonly authorities: string | undefined;
  /** Who one is. Each certificate up to the authority has to be valid. */
  readonly certificate: string | undefined;
}

/**
 * Reads from some files when their certificates are valid.
 *
 * @param paths All the files, in the order of their contents.
 * @param contents What the files hold. The certificates have to be whole.
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
    isGood(nowMs) {
      const isNow = (period: Period) => faultOf(period, nowMs) === undefined;
      return own.every(isNow) && (trusted.length === 0 || trusted.some(isNow));
    },
    warnings: (nowMs) => [
      ...new Set([...warning(certificate, own, nowMs), ...warning(authorities, trusted, nowMs)]),
    ],
  };
}

/** When a certificate can be used. */
interface Period {
  readonly subject: string;
  readonly fromMs: number;
  readonly toMs: number;
}

function periodOf({ subject, validFrom, validTo }: X509Certificate): Period {
  return {
    // The runtimes put the parts on lines of their own; Deno leaves other control characters in.
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

/** One line about the certificates of a file, if there is anything to say. */
function warning(path: string | undefined, periods: readonly Period[], nowMs: number): string[] {
  const [first, ...others] = periods.map((period) => faultOf(period, nowMs))
    .filter((fault) => fault !== undefined);
  if (first === undefined) return [];
  const more = others.length === 0 ? "" : ` (and ${others.length} more like it)`;
  return [`${path}: ${first}${more}`];
}

/** In UTC and to the second, which is as exact as certificates are. */
function dateOf(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(".000", "");
}
