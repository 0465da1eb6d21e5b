import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { UnfitFileError } from "./regular-file.ts";

const BEGIN = /-----BEGIN CERTIFICATE-----/g;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs;
const MARKER = /-----(?:BEGIN|END) CERTIFICATE-----/g;
const MARKER_LINE = /(?<=^|\n)-----(?:BEGIN|END) CERTIFICATE-----(?=[ \t]*(?:\n|$))/g;

/** The UTF-8 byte order mark. Some editors write it at the start of a file. */
const BYTE_ORDER_MARK = Buffer.from("\ufeff");

function hasByteOrderMark(content: Buffer): boolean {
  return content.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
}

/** @throws {UnfitFileError} if the content begins with a byte order mark */
export function refuseByteOrderMark(content: Buffer): void {
  if (!hasByteOrderMark(content)) return;
  throw new UnfitFileError("it begins with a byte order mark: save it without one");
}

/** Returns the content without a byte order mark at its start. */
export function withoutByteOrderMark(content: Buffer): Buffer {
  return hasByteOrderMark(content) ? content.subarray(BYTE_ORDER_MARK.length) : content;
}

/**
 * Parses all certificates of a PEM file. The runtimes differ on a broken certificate: they ignore it,
 * fail, or silently leave out an authority.
 *
 * @returns at least one certificate
 * @throws {UnfitFileError} if a certificate does not begin and end on lines of their own
 * @throws {Error} if there is no certificate, or a broken one
 */
export function parseCertificates(content: Buffer): [X509Certificate, ...X509Certificate[]] {
  const text = withoutByteOrderMark(content).toString("latin1").replaceAll("\r\n", "\n");
  if (text.match(MARKER)?.length !== text.match(MARKER_LINE)?.length) {
    throw new UnfitFileError(
      "a line has more than BEGIN CERTIFICATE or END CERTIFICATE: give each a line of its own",
    );
  }
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

/**
 * Parses the private key of a PEM file.
 *
 * @throws {Error} if there is no key, or a passphrase protects it
 */
export function parseKey(content: Buffer): KeyObject {
  try {
    return createPrivateKey(withoutByteOrderMark(content));
  } catch {
    throw new Error("there is no private key in PEM without a passphrase");
  }
}

/**
 * Checks that TLS can use a certificate, with any intermediate ones, and its key.
 *
 * @param certificate the certificates in PEM, the own one first
 * @param key the private key in PEM
 * @throws {Error} if either is malformed, if the key belongs to another certificate, or if the
 *   runtime rejects them, for example because the key is too short
 */
export function checkKeyPair(certificate: Buffer, key: Buffer): void {
  const [own] = parseCertificates(certificate);
  if (!own.checkPrivateKey(parseKey(key))) throw new Error("the key is not the certificate's");
  try {
    createSecureContext({
      cert: withoutByteOrderMark(certificate),
      key: withoutByteOrderMark(key),
    });
  } catch (error) {
    // The reason is the last part, as in OpenSSL's "error:0A00018F:SSL routines::ee key too small".
    const reason = (error as Error).message.split(":").at(-1);
    throw new Error(`TLS does not take the certificate and its key: ${reason}`);
  }
}
