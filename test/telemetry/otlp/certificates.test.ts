import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { onNewCertificates } from "../../../telemetry/otlp/new-certificates.ts";
import { CertificateAuthority } from "../../support/certificates.ts";
import { eventually } from "../../support/eventually.ts";

const PATIENCE_MS = 30_000;
const folder = mkdtempSync(join(tmpdir(), "otlp-certificates-"));
after(() => rmSync(folder, { recursive: true }));

test("files that two exporters share are reported once, and both exporters are renewed", async () => {
  const authority = await CertificateAuthority.create({ after }, "an authority");
  const expired = await authority.issue("expired", { expired: true });
  const files = {
    authorities: join(folder, "ca.pem"),
    certificate: undefined,
    key: undefined,
  };
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  const log = { info: say, warn: say };
  const renewed: string[] = [];
  copyFileSync(expired.certificate, files.authorities);
  const start = (name: string) => onNewCertificates(files, log, () => renewed.push(name));
  const stops = [start("metrics"), start("traces")];
  const warning = `${files.authorities}: the certificate of CN=expired expired on ` +
    "2020-01-02T00:00:00Z; put a valid one there";
  assert.deepEqual(lines, [warning]);
  copyFileSync(authority.certificate, files.authorities);
  await eventually(() => assert.deepEqual(renewed, ["metrics", "traces"]), PATIENCE_MS);
  const news = `${files.authorities} changed: the new content is in use`;
  assert.deepEqual(lines, [warning, news]);

  for (const stop of stops) stop();
  copyFileSync(expired.certificate, files.authorities);
  start("later")();
  assert.deepEqual(lines, [warning, news, warning]);
});
