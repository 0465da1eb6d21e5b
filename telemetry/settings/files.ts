import { statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { z } from "zod";
import { checkKeyPair, parseCertificates, parseKey, refuseByteOrderMark } from "../../tls/pem.ts";
import { readRegularFileSync, UnfitFileError } from "../../tls/regular-file.ts";

/** The path of a file with certificates in PEM. */
export const certificateFileSchema = fileSchema(parseCertificates);

/** The path of a file with a private key in PEM that no passphrase protects. */
export const keyFileSchema = fileSchema(parseKey);

/**
 * The path of a file with certificates in PEM for the exporters. It is read now: the exporters, which
 * read it again later, go on without it if they can't, and then trust others than they were told to.
 */
export const exporterCertificateFileSchema = fileSchema(asExportersReadIt(parseCertificates));

/** The path of a file with a private key in PEM, for the exporters. */
export const exporterKeyFileSchema = fileSchema(asExportersReadIt(parseKey));

/**
 * The path of a file of whose content something can be made: `parse` throws if it can't. The schema's
 * issue has the reason if that is an {@linkcode UnfitFileError}, which says more than "bad content".
 */
export function fileSchema(parse: (content: Buffer) => unknown) {
  return z.string().superRefine((path, context) => {
    const error = failureOf(path, parse);
    if (error === undefined) return;
    const reason = error instanceof UnfitFileError ? error.reason : undefined;
    context.addIssue({ code: "custom", params: { reason } });
  });
}

/**
 * Tells whether a value may be what the file should hold, a key or a token, instead of its path. A
 * path is one of something that is there, or has the name of a file in PEM.
 */
export function isNoPath(value: string): boolean {
  if (value === "" || /^[^\r\n:@=?#]+\.(pem|crt|cer|key)$/.test(value)) return false;
  try {
    statSync(value);
    return false;
  } catch (error) {
    // Deno says no more than that it may not look.
    return (error as Error).name !== "NotCapable" || !isAbsolute(value);
  }
}

/**
 * Whether a certificate can be shown: it takes both files, the key has to be the certificate's, and
 * TLS has to take them. Of files that are bad by themselves enough is said already.
 */
export function areKeyPair(keyPath: string | undefined, certPath: string | undefined): boolean {
  if (keyPath !== undefined && failureOf(keyPath, parseKey)) return true;
  if (certPath !== undefined && failureOf(certPath, parseCertificates)) return true;
  if (keyPath === undefined || certPath === undefined) return keyPath === certPath;
  const check = (content: Buffer) => checkKeyPair(content, readRegularFileSync(keyPath));
  return failureOf(certPath, check) === undefined;
}

/** The exporters give TLS what is in the file, and Bun's TLS overlooks what follows the mark. */
function asExportersReadIt(parse: (content: Buffer) => unknown) {
  return (content: Buffer) => {
    refuseByteOrderMark(content);
    parse(content);
  };
}

function failureOf(path: string, parse: (content: Buffer) => unknown): unknown {
  try {
    parse(readRegularFileSync(path));
    return undefined;
  } catch (error) {
    return error;
  }
}
