import { readFileSync } from "node:fs";
import { z } from "zod";
import { checkKeyPair, parseCertificates, parseKey } from "../tls/pem.ts";

/**
 * The path of a file with certificates in PEM. It is read now: the exporters, which read it again
 * later, go on without it if they can't, and then trust others than they were told to.
 */
export const certificateFileSchema = fileSchema(parseCertificates);

/** The path of a file with a private key in PEM that no passphrase protects. */
export const keyFileSchema = fileSchema(parseKey);

/** The path of a file of whose content something can be made: `parse` throws if it can't. */
export function fileSchema(parse: (content: Buffer) => unknown) {
  return z.string().refine((path) => isFileOf(path, parse));
}

/**
 * Whether a certificate can be shown: it takes both files, the key has to be the certificate's, and
 * TLS has to take them. Of files that are bad by themselves enough is said already.
 */
export function areKeyPair(keyPath: string | undefined, certPath: string | undefined): boolean {
  if (keyPath !== undefined && !isFileOf(keyPath, parseKey)) return true;
  if (certPath !== undefined && !isFileOf(certPath, parseCertificates)) return true;
  if (keyPath === undefined || certPath === undefined) return keyPath === certPath;
  return isFileOf(certPath, (content) => checkKeyPair(content, readFileSync(keyPath)));
}

function isFileOf(path: string, parse: (content: Buffer) => unknown): boolean {
  try {
    parse(readFileSync(path));
    return true;
  } catch {
    return false;
  }
}
