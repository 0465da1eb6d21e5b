/** Warnings about a `/metrics` that other hosts can reach. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { exposureWarning } from "../../../telemetry/pull.ts";
import { readSettings } from "../../../telemetry/settings/mod.ts";
import { CertificateAuthority } from "../../support/certificates.ts";

const authority = await CertificateAuthority.create({ after }, "an authority");
const { certificate, key } = await authority.issue("server");
const folder = mkdtempSync(join(tmpdir(), "exposure-"));
after(() => rmSync(folder, { recursive: true }));
const [token, user] = [join(folder, "token"), join(folder, "user")];
writeFileSync(token, "s3cret");
writeFileSync(user, "prometheus:s3cret");

function warning(host: string, further: Record<string, string> = {}): string | undefined {
  return exposureWarning(readSettings({ OTEL_EXPORTER_PROMETHEUS_HOST: host, ...further }));
}

const TLS = { GRPC_METRICS_TLS_CERT: certificate, GRPC_METRICS_TLS_KEY: key };
const MUTUAL = { ...TLS, GRPC_METRICS_TLS_CLIENT_CA: authority.certificate };
const TOKEN = { GRPC_METRICS_BEARER_TOKEN_FILE: token };
const USER = { GRPC_METRICS_BASIC_AUTH_FILE: user };
const OPEN = /^OTEL_EXPORTER_PROMETHEUS_HOST=\S+: anyone who can reach it can read the metrics; /;
const CLEAR = /^OTEL_EXPORTER_PROMETHEUS_HOST=\S+: the secret .* unencrypted; /;

test("loopback needs no warning", () => {
  assert.equal(exposureWarning(readSettings({})), undefined);
  for (const host of ["127.0.0.1", "127.1.2.3", "localhost", "LOCALHOST", "::1"]) {
    assert.equal(warning(host), undefined, host);
  }
});

test("another address needs a warning unless /metrics asks for authentication", () => {
  const hosts = ["0.0.0.0", "::", "10.0.0.1", "example.org", "127.0.0.1.example.org", "::2"];
  for (const host of hosts) {
    assert.match(warning(host) ?? "", OPEN, host);
    assert.match(warning(host, TLS) ?? "", OPEN, host);
    assert.equal(warning(host, MUTUAL), undefined, host);
  }
});

test("a secret that is sent unencrypted needs a warning", () => {
  for (const secret of [TOKEN, USER, { ...TOKEN, ...USER }]) {
    assert.match(warning("0.0.0.0", secret) ?? "", CLEAR);
    assert.equal(warning("0.0.0.0", { ...secret, ...TLS }), undefined);
    assert.equal(warning("127.0.0.1", secret), undefined);
  }
});
