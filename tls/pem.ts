import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { UnfitFileError } from "./regular-file.ts";

const BEGIN = /-----BEGIN CERTIFICATE-----/g;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs;
const MARKER = /-----(?:BEGIN|END) CERTIFICATE-----/g;
const MARKER_LINE = /(?<=^|\n)-----(?:BEGIN|END) CERTIFICATE-----(?=[ \t]*(?:\n|$))/g;

/** The UTF-8 byte order mark, which some editors put before the first character. */
const BYTE_ORDER_MARK = Buffer.from("\ufeff");

function hasByteOrderMark(content: Buffer): boolean {
  return content.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
}

/** @throws {UnfitFileError} if a file's content begins with a byte order mark */
export function refuseByteOrderMark(content: Buffer): void {
  if (!hasByteOrderMark(content)) return;
  throw new UnfitFileError("it begins with a byte order mark: save it without");
}

/** The content of a file in PEM without a byte order mark. */
export function withoutByteOrderMark(content: Buffer): Buffer {
  return hasByteOrderMark(content) ? content.subarray(BYTE_ORDER_MARK.length) : content;
}

/**
 * The certificates of a file, of which there is one at least. All are read: of a broken one the
 * runtimes would make nothing, an error, or an authority that is silently missing.
 *
 * @throws {UnfitFileError} if a certificate does not begin or end on a line of its own
 * @throws {Error} if there is none, or one is broken
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

/** @throws {Error} if there is none, or if a passphrase protects it */
export function parseKey(content: Buffer): KeyObject {
  try {
    return createPrivateKey(withoutByteOrderMark(content));
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
    createSecureContext({
      cert: withoutByteOrderMark(certificate),
      key: withoutByteOrderMark(key),
    });
  } catch (error) {
    // Of OpenSSL's "error:0A00018F:SSL routines::ee key too small" the end says what is wrong.
    const reason = (error as Error).message.split(":").at(-1);
    throw new Error(`TLS does not take the certificate and its key: ${reason}`);
  }
}
