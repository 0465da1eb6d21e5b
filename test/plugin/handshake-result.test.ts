/** The result of a handshake (gRFC A118) for each error that Node, Bun or Deno gives. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { failedHandshake, finishedHandshake } from "../../plugin/connections/handshake-result.ts";

/** The errors of each result: codes, or texts of errors that have no telling code. */
const ERRORS: Readonly<Record<string, readonly string[]>> = {
  CERTIFICATE_VERIFICATION_FAILED: [
    "CERT_REJECTED",
    "CERT_CHAIN_TOO_LONG",
    "PATH_LENGTH_EXCEEDED",
    "UNABLE_TO_GET_CRL",
    "CRL_HAS_EXPIRED",
    "CRL_SIGNATURE_FAILURE",
    "ERR_SSL_CERTIFICATE_VERIFY_FAILED",
    "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE",
    "ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE",
    "ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "ERR_SSL_TLSV1_ALERT_CERTIFICATE_REQUIRED",
  ],
  CERTIFICATE_REVOKED: ["CERT_REVOKED", "ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED"],
  CERTIFICATE_EXPIRED: [
    "CERT_HAS_EXPIRED",
    "ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED",
    "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED",
  ],
  CERTIFICATE_NOT_YET_VALID: ["CERT_NOT_YET_VALID"],
  CERTIFICATE_AUTHORITY_INVALID: [
    "DEPTH_ZERO_SELF_SIGNED_CERT",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "UNABLE_TO_GET_ISSUER_CERT",
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "CERT_UNTRUSTED",
    "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
  ],
  CERTIFICATE_HOSTNAME_MISMATCH: ["ERR_TLS_CERT_ALTNAME_INVALID", "HOSTNAME_MISMATCH"],
  CERTIFICATE_MALFORMED: ["ERROR_IN_CERT_NOT_AFTER_FIELD", "INVALID_CA", "INVALID_PURPOSE"],
  CIPHER_SUITE_MISMATCH: [
    "ERR_SSL_NO_SHARED_CIPHER",
    "ERR_SSL_WRONG_CIPHER_RETURNED",
    "peer is incompatible: NoCipherSuitesInCommon",
  ],
  PROTOCOL_VERSION_UNSUPPORTED: [
    "ERR_SSL_UNSUPPORTED_PROTOCOL",
    "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
    "ERR_SSL_UNKNOWN_SSL_VERSION",
    "peer is incompatible: ServerDoesNotSupportTls12Or13",
    "peer is incompatible: Tls12NotOffered",
  ],
  INAPPROPRIATE_FALLBACK: [
    "ERR_SSL_INAPPROPRIATE_FALLBACK",
    "ERR_SSL_TLSV1_ALERT_INAPPROPRIATE_FALLBACK",
  ],
  NO_APPLICATION_PROTOCOL: [
    "ERR_SSL_NO_APPLICATION_PROTOCOL",
    "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
  ],
  SIGNATURE_VERIFICATION_FAILED: [
    "CERT_SIGNATURE_FAILURE",
    "ERR_SSL_BAD_SIGNATURE",
    "ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR",
  ],
  DECRYPTION_FAILED: [
    "ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
    "ERR_SSL_SSL/TLS_ALERT_BAD_RECORD_MAC",
    "cannot decrypt peer's message",
  ],
  KEY_EXCHANGE_FAILURE: [
    "ERR_SSL_BAD_KEY_SHARE",
    "ERR_SSL_NO_SHARED_GROUP",
    "ERR_SSL_NO_SUITABLE_KEY_SHARE",
    "ERR_SSL_WRONG_CURVE",
    "peer is incompatible: NoKxGroupsInCommon",
  ],
  UNEXPECTED_MESSAGE: [
    "ERR_SSL_HTTP_REQUEST",
    "ERR_SSL_UNEXPECTED_MESSAGE",
    "ERR_SSL_SSLV3_ALERT_UNEXPECTED_MESSAGE",
    "ERR_SSL_WRONG_VERSION_NUMBER",
    "received unexpected message: got ApplicationData when expecting Handshake",
  ],
  HANDSHAKE_TIMEOUT: ["ERR_TLS_HANDSHAKE_TIMEOUT", "TLS handshake timeout"],
  PEER_CONNECTION_CLOSED: ["ECONNRESET", "EPIPE", "ERR_SSL_UNEXPECTED_EOF_WHILE_READING"],
  UNKNOWN_FAILURE: [
    "ENOMEM",
    "ERR_SSL_",
    "ERR_SSL_BAD_PACKET_LENGTH",
    "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE",
    "ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR",
    "constructor",
    "toString",
    "ERR_SSL_constructor",
    "Failed to load credentials",
  ],
};

for (const [result, errors] of Object.entries(ERRORS)) {
  test(`the errors of ${result}`, () => {
    for (const error of errors) {
      assert.equal(resultOf(Object.assign(new Error(error), { code: error })), result, error);
    }
  });
}

/** Returns the result of a handshake that failed. None of them resumed a session. */
function resultOf(error: unknown): string {
  const { result, isResumed } = failedHandshake(error);
  assert.equal(isResumed, false);
  return result;
}

test("Deno's code for all certificates that it does not accept is no unknown authority there", () => {
  assert.equal(
    resultOf("UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
    "Deno" in globalThis ? "CERTIFICATE_VERIFICATION_FAILED" : "CERTIFICATE_AUTHORITY_INVALID",
  );
});

test("an error may be a code, or anything else", () => {
  assert.equal(resultOf("CERT_HAS_EXPIRED"), "CERTIFICATE_EXPIRED");
  for (const odd of [undefined, null, 17, {}, Symbol("odd"), { code: 17 }, new Error()]) {
    assert.equal(resultOf(odd), "UNKNOWN_FAILURE");
  }
});

test("Deno's texts count where its code is that of any failure", () => {
  const error = new Error("cannot decrypt peer's message");
  const code = "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE";
  assert.equal(resultOf(Object.assign(error, { code })), "DECRYPTION_FAILED");
});

test("a handshake without an error is a success if the peers agree on a protocol", () => {
  const ended = (alpnProtocol: string | false | null, reused?: boolean) =>
    finishedHandshake({
      alpnProtocol,
      ...(reused === undefined ? {} : { isSessionReused: () => reused }),
    });
  assert.deepEqual(ended("h2"), { result: "SUCCESS", isResumed: false });
  assert.deepEqual(ended("h2", false), { result: "SUCCESS", isResumed: false });
  assert.deepEqual(ended("h2", true), { result: "SUCCESS", isResumed: true });
  assert.deepEqual(ended(false), { result: "NO_APPLICATION_PROTOCOL", isResumed: false });
});
