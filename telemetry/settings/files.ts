import { statSync } from "node:fs";
import { isAbsolute } from "node:path";
import * as z from "zod/mini";
import { checkKeyPair, parseCertificates, parseKey, refuseByteOrderMark } from "../../tls/pem.ts";
import { readRegularFileSync, UnfitFileError } from "../../tls/regular-file.ts";

/** The allowed values of {@link certificateFileSchema}, for the documentation. */
export const CERTIFICATE_FILE = "a file that can be read, with a certificate in PEM";

/** The allowed values of {@link keyFileSchema}, for the documentation. */
export const KEY_FILE =
  "a file that can be read, with the private key of the certificate in PEM, " +
  "without a passphrase";

/** The path of a file with certificates in PEM. */
export const certificateFileSchema = fileSchema(parseCertificates);

/** The path of a file with a private key in PEM, without a passphrase. */
export const keyFileSchema = fileSchema(parseKey);

/**
 * The path of a file with certificates in PEM, for the stock OTLP exporters. They read the file
 * later, and if they cannot, they continue without it and trust the runtime's authorities. So it is
 * checked now.
 */
export const exporterCertificateFileSchema = fileSchema(asExportersReadIt(parseCertificates));

/** The path of a file with a private key in PEM, for the stock OTLP exporters. */
export const exporterKeyFileSchema = fileSchema(asExportersReadIt(parseKey));

/**
 * The path of a file that `parse` accepts. If `parse` throws an {@linkcode UnfitFileError}, the
 * schema's issue has its reason, which says more than "bad content".
 */
export function fileSchema(parse: (content: Buffer) => unknown) {
  return z.string().check(z.superRefine((path, context) => {
    const error = failureOf(path, parse);
    if (error === undefined) return;
    const reason = error instanceof UnfitFileError ? error.reason : undefined;
    context.addIssue({ code: "custom", params: { reason } });
  }));
}

/**
 * Returns whether a value may be the content of a file, such as a key or a token, instead of its
 * path. A value is a path if something exists there, or if it ends like the name of a PEM file.
 */
export function isNoPath(value: string): boolean {
  if (value === "" || /^[^\r\n:@=?#]+\.(pem|crt|cer|key)$/.test(value)) return false;
  try {
    statSync(value);
    return false;
  } catch (error) {
    // Deno reports only a missing permission, whether the file exists or not.
    return (error as Error).name !== "NotCapable" || !isAbsolute(value);
  }
}

/**
 * Returns whether two files are a certificate and its key, and TLS accepts them; also true if neither
 * is set. It is true if one of them is bad by itself, because its own schema reports that.
 */
export function areKeyPair(keyPath: string | undefined, certPath: string | undefined): boolean {
  if (keyPath !== undefined && failureOf(keyPath, parseKey)) return true;
  if (certPath !== undefined && failureOf(certPath, parseCertificates)) return true;
  if (keyPath === undefined || certPath === undefined) return keyPath === certPath;
  const check = (content: Buffer) => checkKeyPair(content, readRegularFileSync(keyPath));
  return failureOf(certPath, check) === undefined;
}

/**
 * Refuses a byte order mark: the exporters pass the file's content to TLS, and Bun's TLS ignores what
 * follows the mark.
 */
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
