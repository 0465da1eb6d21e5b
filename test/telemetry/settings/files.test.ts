/** Files named by variables are checked at start, not at the first export. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { readSettings } from "../../../echo/settings.ts";
import { CertificateAuthority } from "../../support/certificates.ts";

const folder = mkdtempSync(join(tmpdir(), "tls-files-"));
after(() => rmSync(folder, { recursive: true }));

/** Writes a file and returns its path. */
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

test("usable certificates are accepted, also for metrics only", () => {
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

/** Later certificates in a file count too, so that no authority is missing silently. */
const [good, rest] = [readFileSync(client.certificate, "utf8"), readFileSync(broken, "utf8")];
const brokenSecond = file("broken-second.pem", `${good}${rest}`);
const cutOff = file("cut-off.pem", `${good}${good.slice(0, 200)}`);

const BAD_CERTIFICATES = { folder, garbage, broken, brokenSecond, cutOff, der, key: client.key };
for (const [what, path] of Object.entries(BAD_CERTIFICATES)) {
  for (const name of ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE"]) {
    test(`${name} refuses ${what} instead of a certificate`, () => {
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
  test(`${what} is refused instead of the client certificate's key`, () => {
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

test("each pair of files must match, also the one for metrics only", () => {
  assert.equal(
    complaint({
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: client.certificate,
      OTEL_EXPORTER_OTLP_CLIENT_KEY: client.key,
      OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE: server.certificate,
    }),
    `OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY="": ${KEY}`,
  );
});

test("several authorities in one file are accepted", () => {
  const path = file("two.pem", `${good}# a comment\n${readFileSync(authority.certificate)}`);
  assert.equal(complaint({ GRPC_TLS_CA: path }), "nothing");
});

// Bun accepts it; its clients refuse it.
test("a key that is too short for TLS is refused", { skip: "Bun" in globalThis }, () => {
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

const FILE_VARIABLES = [
  "GRPC_TLS_CA",
  "GRPC_METRICS_TLS_CLIENT_CA",
  "GRPC_METRICS_BEARER_TOKEN_FILE",
  "GRPC_METRICS_BASIC_AUTH_FILE",
  "OTEL_EXPORTER_OTLP_CERTIFICATE",
  "OTEL_EXPORTER_OTLP_CLIENT_KEY",
];
const pipe = join(folder, "pipe");
execFileSync("mkfifo", [pipe]);
symlinkSync(pipe, join(folder, "link-to-pipe"));
const PIPE = "it is a pipe, which cannot be read again: use a regular file";
const DEVICE = "it is a device, which cannot be read again: use a regular file";
const UNFIT_FILES: Record<string, string> = {
  [pipe]: PIPE,
  [join(folder, "link-to-pipe")]: PIPE,
  "/dev/zero": DEVICE,
  "/dev/null": DEVICE,
  [file("huge", Buffer.alloc(1_048_577, "x"))]: "it is larger than 1 MiB: use a smaller file",
};
for (const name of FILE_VARIABLES) {
  test(`${name} is refused at once, with the reason, if it is not a small regular file`, () => {
    for (const [path, reason] of Object.entries(UNFIT_FILES)) {
      const [line = ""] = complaint({ [name]: path }).split("\n");
      assert.ok(line.startsWith(`${name}="${path}": must be a file that can be read, `), line);
      assert.ok(line.endsWith(`; ${reason}`), line);
    }
  });
}

const BYTE_ORDER_MARK = "\ufeff";
const marked = (path: string) =>
  file(`marked-${basename(path)}`, `${BYTE_ORDER_MARK}${readFileSync(path)}`);

test("a byte order mark is skipped, but refused in files for the stock exporters", () => {
  const [certificate, key] = [marked(server.certificate), marked(server.key)];
  const ours = { GRPC_TLS_CERT: certificate, GRPC_TLS_KEY: key, GRPC_TLS_CA: certificate };
  assert.equal(complaint(ours), "nothing");
  const name = "OTEL_EXPORTER_OTLP_CERTIFICATE";
  assert.equal(
    complaint({ [name]: certificate }),
    `${name}="${certificate}": must be a file that can be read, with a certificate in PEM; ` +
      "it begins with a byte order mark: save it without one",
  );
});

test("secrets are read in UTF-8", () => {
  const [token, user] = ["GRPC_METRICS_BEARER_TOKEN_FILE", "GRPC_METRICS_BASIC_AUTH_FILE"] as const;
  const utf16 = (text: string) => Buffer.from(text, "utf16le");
  assert.equal(complaint({ [token]: file("marked", `${BYTE_ORDER_MARK}t\r\n`) }), "nothing");
  assert.equal(complaint({ [user]: file("marked-user", `${BYTE_ORDER_MARK}a:ä\r\n`) }), "nothing");
  const refused: [string, Uint8Array, RegExp][] = [
    [user, Buffer.from("a:\xe4", "latin1"), /; it is not in UTF-8: save it in UTF-8$/],
    [token, Buffer.from("a\xe4", "latin1"), /; it is not in UTF-8: save it in UTF-8$/],
    [user, utf16(`${BYTE_ORDER_MARK}a:b`), /; it is not in UTF-8: save it in UTF-8$/],
    [token, utf16(`${BYTE_ORDER_MARK}a`), /; it is not in UTF-8: save it in UTF-8$/],
    [user, utf16("a:b"), /; it has control characters: save it in UTF-8 without them$/],
    [user, Buffer.from("a:b\tc"), /; it has control characters/],
    [token, utf16("ab"), /with one token without blanks$/],
  ];
  for (const [index, [name, content, reason]] of refused.entries()) {
    assert.match(complaint({ [name]: file(`secret-${index}`, content) }), reason);
  }
});

test("a certificate that TLS would ignore is refused", () => {
  const authorityText = readFileSync(authority.certificate, "utf8");
  const overlooked = {
    joined: `${good.trimEnd()}${authorityText}`,
    indented: good.replaceAll(/^/gm, "  "),
    commented: good.replace("CERTIFICATE-----", "CERTIFICATE----- ours"),
    "old-mac": good.replaceAll("\n", "\r"),
  };
  for (const [what, text] of Object.entries(overlooked)) {
    const path = file(`${what}.pem`, text);
    assert.match(
      complaint({ GRPC_TLS_CA: path }),
      /; a line has more than BEGIN CERTIFICATE or END CERTIFICATE: give each a line of its own$/,
    );
  }
  assert.equal(
    complaint({ GRPC_TLS_CA: file("dos.pem", good.replaceAll("\n", " \r\n")) }),
    "nothing",
  );
});

/** Returns the error message for an environment, or "nothing". */
function complaint(environment: Record<string, string>): string {
  try {
    readSettings(environment);
  } catch (error) {
    return (error as Error).message;
  }
  return "nothing";
}
