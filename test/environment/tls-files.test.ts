/** Files that a variable names: what they have to hold is seen at start, not at the first export. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readSettings } from "../../environment/mod.ts";
import { CertificateAuthority } from "../support/certificates.ts";

const folder = mkdtempSync(join(tmpdir(), "tls-files-"));
after(() => rmSync(folder, { recursive: true }));

/** A file that holds a text or bytes. */
function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const authority = await CertificateAuthority.create({ after }, "an authority");
const client = await authority.issue("client");
const server = await authority.issue("server");
const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "pipe" });

const garbage = file("garbage.pem", "not a certificate");
const broken = file(
  "broken.pem",
  "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
);
const der = file("client.der", openssl("x509", "-in", client.certificate, "-outform", "DER"));
const encrypted = file(
  "encrypted.key",
  openssl("pkey", "-in", client.key, "-aes128", "-passout", "pass:x"),
);

test("certificates that can be used are taken, for metrics alone too", () => {
  const environment = {
    OTEL_EXPORTER_OTLP_CERTIFICATE: authority.certificate,
    OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE: authority.certificate,
    OTEL_EXPORTER_OTLP_CLIENT_KEY: client.key,
    OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: client.certificate,
    OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY: server.key,
    OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE: server.certificate,
  };
  const settings = readSettings(environment);
  for (const [name, path] of Object.entries(environment)) {
    assert.equal(settings[name as keyof typeof settings], path);
  }
});

/** What comes after the first certificate counts too: an authority must not be missing silently. */
const [good, rest] = [readFileSync(client.certificate, "utf8"), readFileSync(broken, "utf8")];
const brokenSecond = file("broken-second.pem", `${good}${rest}`);
const cutOff = file("cut-off.pem", `${good}${good.slice(0, 200)}`);

const BAD_CERTIFICATES = { folder, garbage, broken, brokenSecond, cutOff, der, key: client.key };
for (const [what, path] of Object.entries(BAD_CERTIFICATES)) {
  for (const name of ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE"]) {
    test(`${name} is not a certificate but ${what}`, () => {
      assert.equal(
        complaint({ [name]: path }),
        `${name}="${path}": must be a file that can be read, with a certificate in PEM`,
      );
    });
  }
}

const KEY = "must be a file that can be read, with the private key of " +
  "the client certificate in PEM, without a passphrase";
const BAD_KEYS = { garbage, certificate: client.certificate, encrypted, another: server.key };
for (const [what, path] of Object.entries(BAD_KEYS)) {
  test(`the client certificate's key is not its key but ${what}`, () => {
    assert.equal(
      complaint({
        OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: client.certificate,
        OTEL_EXPORTER_OTLP_CLIENT_KEY: path,
      }),
      `OTEL_EXPORTER_OTLP_CLIENT_KEY="${path}": ${KEY}`,
    );
  });
}

test("a client certificate without its key, and a key without its certificate", () => {
  assert.equal(
    complaint({ OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: client.certificate }),
    `OTEL_EXPORTER_OTLP_CLIENT_KEY="": ${KEY}`,
  );
  assert.equal(
    complaint({ OTEL_EXPORTER_OTLP_CLIENT_KEY: client.key }),
    `OTEL_EXPORTER_OTLP_CLIENT_KEY="${client.key}": ${KEY}`,
  );
});

test("each pair of files belongs together, the one for metrics alone too", () => {
  assert.equal(
    complaint({
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: client.certificate,
      OTEL_EXPORTER_OTLP_CLIENT_KEY: client.key,
      OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE: server.certificate,
    }),
    `OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY="": ${KEY}`,
  );
});

test("several authorities in one file are taken", () => {
  const path = file("two.pem", `${good}# a comment\n${readFileSync(authority.certificate)}`);
  assert.equal(complaint({ GRPC_TLS_CA: path }), "nothing");
});

// Bun takes it; its clients refuse it.
test("a key that is too short for TLS", { skip: "Bun" in globalThis }, () => {
  const [certificate, key] = [join(folder, "short.pem"), join(folder, "short.key")];
  openssl(
    ...["req", "-x509", "-newkey", "rsa:512", "-nodes", "-days", "1", "-subj", "/CN=short"],
    ...["-keyout", key, "-out", certificate],
  );
  assert.match(
    complaint({ GRPC_TLS_CERT: certificate, GRPC_TLS_KEY: key }),
    /^GRPC_TLS_KEY=".*short\.key": must be a file .* private key of the certificate/,
  );
});

/** What is said of a bad environment. */
function complaint(environment: Record<string, string>): string {
  try {
    readSettings(environment);
  } catch (error) {
    return (error as Error).message;
  }
  return "nothing";
}
