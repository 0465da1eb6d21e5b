import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { watchServerCertificates } from "../../tls/certificates.ts";
import { checkKeyPair } from "../../tls/pem.ts";
import { WatchedFiles } from "../../tls/watched-files.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";

const PATIENCE_MS = 30_000;
const LOOK_MS = 50;
const folder = mkdtempSync(join(tmpdir(), "watched-files-"));
after(() => rmSync(folder, { recursive: true }));

/** A log that keeps its lines. */
function keptLog() {
  const lines: string[] = [];
  return {
    lines,
    log: {
      info: (line: string) => void lines.push(`info: ${line}`),
      warn: (line: string) => void lines.push(`warn: ${line}`),
    },
  };
}

function parseNumber([content]: readonly Buffer[]): number {
  const number = Number(content);
  if (Number.isNaN(number)) throw new Error("not a number");
  return number;
}

test("what changes is told, what can't be used is not, and the last good value stays", async () => {
  const path = join(folder, "number");
  writeFileSync(path, "1");
  const { lines, log } = keptLog();
  const file = new WatchedFiles([path], parseNumber, log, LOOK_MS);
  const told: number[] = [];
  const stop = file.onChange((value) => told.push(value));
  assert.equal(file.value, 1);
  writeFileSync(path, "two");
  await eventually(() => assert.equal(lines.length, 1), PATIENCE_MS);
  assert.equal(file.value, 1);
  writeFileSync(path, "3");
  await eventually(() => assert.deepEqual(told, [3]), PATIENCE_MS);
  assert.equal(file.value, 3);
  rmSync(path);
  await eventually(() => assert.equal(lines.length, 3), PATIENCE_MS);
  assert.equal(file.value, 3);
  stop();
  const [first, second, third = ""] = lines;
  assert.equal(
    first,
    `warn: ${path} changed, but cannot be used; what was there before stays in use: not a number`,
  );
  assert.equal(second, `info: ${path} changed: the new content is in use`);
  assert.match(third, /^warn: .* stays in use: .*(ENOENT|No such file)/i);
});

test("a listener that fails ends nothing: it is told of, and others are called", async () => {
  const path = join(folder, "failing");
  writeFileSync(path, "1");
  const { lines, log } = keptLog();
  const file = new WatchedFiles([path], parseNumber, log, LOOK_MS);
  const told: number[] = [];
  const stops = [
    file.onChange(() => {
      throw new Error("no");
    }),
    file.onChange((value) => told.push(value)),
  ];
  writeFileSync(path, "2");
  await eventually(() => assert.deepEqual(told, [2]), PATIENCE_MS);
  writeFileSync(path, "3");
  await eventually(() => assert.deepEqual(told, [2, 3]), PATIENCE_MS);
  for (const stop of stops) stop();
  assert.deepEqual(
    lines.filter((line) => line.startsWith("warn")),
    Array(2).fill(`warn: ${path} changed, but is not in use: no`),
  );
});

test("a chain has to be whole", async () => {
  const authority = await CertificateAuthority.create({ after }, "an authority");
  const { certificate, key } = await authority.issue("chained");
  const whole = `${readFileSync(certificate)}${readFileSync(authority.certificate)}`;
  const check = (text: string) => checkKeyPair(Buffer.from(text), readFileSync(key));
  check(whole);
  assert.throws(() => check(whole.slice(0, -40)), /^Error: a certificate has no end$/);
  assert.throws(
    () => check(whole.replace(/MII(?!.*MII)/s, "MI!")),
    /^Error: a certificate is broken$/,
  );
});

test("a file that can't be used at the start is an error", () => {
  const { log } = keptLog();
  const path = join(folder, "bad");
  writeFileSync(path, "?");
  assert.throws(() => new WatchedFiles([path], parseNumber, log), {
    message: `${path}: not a number`,
  });
  assert.throws(() => new WatchedFiles([`${path}-missing`], parseNumber, log), { code: "ENOENT" });
});

test("a certificate without its key waits for the key", async (t) => {
  const authority = await CertificateAuthority.create({ after }, "an authority");
  const [first, second] = [await authority.issue("first"), await authority.issue("second")];
  const files = { certificate: join(folder, "cert.pem"), key: join(folder, "key.pem") };
  copyFileSync(first.certificate, files.certificate);
  copyFileSync(first.key, files.key);
  const { lines, log } = keptLog();
  const watched = watchServerCertificates(files, authority.certificate, log);
  const before = watched.value;
  const stop = watched.onChange(() => {});
  t.after(stop);
  copyFileSync(second.certificate, files.certificate);
  await eventually(() => assert.equal(lines.length, 1), PATIENCE_MS);
  assert.equal(watched.value, before);
  const names = [files.certificate, files.key, authority.certificate].join(", ");
  copyFileSync(second.key, files.key);
  await eventually(() => assert.notEqual(watched.value, before), PATIENCE_MS);
  assert.deepEqual(lines, [
    `warn: ${names} changed, but cannot be used; what was there before stays in use: the key is not the certificate's`,
    `info: ${names} changed: the new content is in use`,
  ]);
});
