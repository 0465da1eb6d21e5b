import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { z } from "zod";

/**
 * The path of a file with certificates in PEM. It is read now: the exporters, which read it again
 * later, go on without it if they can't, and then trust others than they were told to.
 */
export const certificateFileSchema = z.string().refine((path) => readCertificate(path));

/** The path of a file with a private key in PEM that no passphrase protects. */
export const keyFileSchema = z.string().refine((path) => readKey(path));

/**
 * Whether a client can show this certificate: it takes both files, and the key has to be the
 * certificate's. Of files that are bad by themselves enough is said already.
 */
export function areKeyPair(keyPath: string | undefined, certPath: string | undefined): boolean {
  const key = keyPath === undefined ? undefined : readKey(keyPath);
  const certificate = certPath === undefined ? undefined : readCertificate(certPath);
  const isBad = (keyPath && !key) || (certPath && !certificate);
  if (isBad || (!keyPath && !certPath)) return true;
  return key !== undefined && certificate !== undefined && certificate.checkPrivateKey(key);
}

/** The first certificate of a file. */
function readCertificate(path: string): X509Certificate | undefined {
  try {
    const text = readFileSync(path, "utf8");
    // Without this a certificate in DER would do, which TLS takes nowhere.
    return text.includes("-----BEGIN ") ? new X509Certificate(text) : undefined;
  } catch {
    return undefined;
  }
}

function readKey(path: string): ReturnType<typeof createPrivateKey> | undefined {
  try {
    return createPrivateKey(readFileSync(path));
  } catch {
    return undefined;
  }
}
