import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";

const BEGIN = /-----BEGIN CERTIFICATE-----/g;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs;

/**
 * The certificates of a file, of which there is one at least. All are read: of a broken one the
 * runtimes would make nothing, an error, or an authority that is silently missing.
 *
 * @throws {Error} if there is none, or one is broken
 */
export function parseCertificates(content: Buffer): [X509Certificate, ...X509Certificate[]] {
  const text = content.toString("latin1");
  const [first, ...others] = (text.match(CERTIFICATE) ?? []).map(parseCertificate);
  if (first === undefined) throw new Error("there is no certificate in PEM");
  if (others.length + 1 !== text.match(BEGIN)?.length) {
    throw new Error("a certificate has no end");
  }
  return [first, ...others];
}

function parseCertificate(text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch {
    throw new Error("a certificate is broken");
  }
}

/** @throws {Error} if there is none, or if a passphrase protects it */
export function parseKey(content: Buffer): KeyObject {
  try {
    return createPrivateKey(content);
  } catch {
    throw new Error("there is no private key in PEM without a passphrase");
  }
}

/**
 * Checks that a certificate, with those between it and its authority, and a key can be shown.
 *
 * @throws {Error} if one is bad by itself, if the key is another certificate's, or if the runtime
 *   does not take them, as when the key is too short
 */
export function checkKeyPair(certificate: Buffer, key: Buffer): void {
  const [own] = parseCertificates(certificate);
  if (!own.checkPrivateKey(parseKey(key))) throw new Error("the key is not the certificate's");
  try {
    createSecureContext({ cert: certificate, key });
  } catch (error) {
    // Of OpenSSL's "error:0A00018F:SSL routines::ee key too small" the end says what is wrong.
    const reason = (error as Error).message.split(":").at(-1);
    throw new Error(`TLS does not take the certificate and its key: ${reason}`);
  }
}
