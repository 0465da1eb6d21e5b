import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { watchClientCertificates, watchServerCertificates } from "../../tls/certificates.ts";
import { checkKeyPair } from "../../tls/pem.ts";
import { WatchedFiles } from "../../tls/watched-files.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";

const PATIENCE_MS = 30_000;
const OPTIONS = { pollIntervalMs: 50 };
const folder = mkdtempSync(join(tmpdir(), "watched-files-"));
after(() => rmSync(folder, { recursive: true }));

/** Creates a log that keeps its lines. */
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

test("listeners receive each new value, and unusable contents leave the last good one in place", async () => {
  const path = join(folder, "number");
  writeFileSync(path, "1");
  const { lines, log } = keptLog();
  const file = new WatchedFiles([path], parseNumber, log, OPTIONS);
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
    `warn: ${path} changed, but cannot be used; the previous content stays in use: not a number`,
  );
  assert.equal(second, `info: ${path} changed: the new content is in use`);
  assert.match(third, /^warn: .* stays in use: .*(ENOENT|No such file)/i);
});

test("a listener that throws is logged, and the other listeners are still called", async () => {
  const path = join(folder, "failing");
  writeFileSync(path, "1");
  const { lines, log } = keptLog();
  const file = new WatchedFiles([path], parseNumber, log, OPTIONS);
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

/** Removes whatever is at a path. */
const remove = (path: string) => rmSync(path, { recursive: true, force: true });

/** Things that can replace a file, and the reason why each is refused. */
const UNFIT: Record<string, [put: (path: string) => void, reason: RegExp]> = {
  "a pipe": [
    (path) => execFileSync("mkfifo", [path]),
    /: it is a pipe, which cannot be read again/,
  ],
  "a link to a pipe": [(path) => {
    execFileSync("mkfifo", [`${path}-target`]);
    symlinkSync(`${path}-target`, path);
  }, /: it is a pipe/],
  "a folder": [(path) => mkdirSync(path), /: it is a folder$/],
  "an endless device": [(path) => symlinkSync("/dev/zero", path), /: it is a device/],
  "a large file": [
    (path) => writeFileSync(path, Buffer.alloc(2 ** 20 + 1)),
    /: it is larger than 1 MiB/,
  ],
};
for (const [what, [put, reason]] of Object.entries(UNFIT)) {
  test(`${what} in place of a file is logged once, and the next regular file is read`, async () => {
    const path = join(folder, what.replaceAll(" ", "-"));
    put(path);
    const { lines, log } = keptLog();
    assert.throws(() => new WatchedFiles([path], parseNumber, log), reason);
    remove(path);
    remove(`${path}-target`);

    writeFileSync(path, "1");
    const file = new WatchedFiles([path], parseNumber, log, OPTIONS);
    const other = join(folder, "other");
    writeFileSync(other, "1");
    const polled = new WatchedFiles([other], parseNumber, log, OPTIONS);
    const stops = [file.onChange(() => {}), polled.onChange(() => {})];
    remove(path);
    put(path);
    await eventually(() => assert.equal(lines.length, 1), PATIENCE_MS);
    assert.match(lines[0]!, reason);
    assert.match(lines[0]!, /^warn: .* the previous content stays in use: /);
    assert.equal(file.value, 1);
    // Several more polls pass without another line about it.
    for (const number of ["2", "3"]) {
      writeFileSync(other, number);
      await eventually(() => assert.equal(polled.value, Number(number)), PATIENCE_MS);
    }
    remove(path);
    writeFileSync(path, "4");
    await eventually(() => assert.equal(file.value, 4), PATIENCE_MS);
    for (const stop of stops) stop();
    const about = lines.filter((line) => line.includes(path));
    assert.deepEqual(about.map((line) => line.slice(0, 4)), ["warn", "info"], lines.join("\n"));
  });
}

/** Thrown values that have no text, or throw when they are converted to text. */
const WITHOUT_TEXT: Record<string, unknown> = {
  "an object without a prototype": Object.create(null),
  "a symbol": Symbol("no"),
  undefined: undefined,
  "an error whose message throws": Object.defineProperty(new Error(), "message", {
    get() {
      throw new Error("no");
    },
  }),
};
for (const [what, thrown] of Object.entries(WITHOUT_TEXT)) {
  test(`a log, a parser and a listener may throw ${what}`, async () => {
    const path = join(folder, "throwing");
    writeFileSync(path, "1");
    const fail = (): never => {
      throw thrown;
    };
    const parse = ([content]: readonly Buffer[]) =>
      String(content) === "bad" ? fail() : `${content}`;
    let calls = 0;
    const log = {
      info: () => (calls++, fail()),
      warn: () => (calls++, fail()),
    };
    const file = new WatchedFiles([path], parse, log, OPTIONS);
    const told: string[] = [];
    const stops = [file.onChange(fail), file.onChange((value) => void told.push(value))];
    writeFileSync(path, "bad");
    await eventually(() => assert.equal(calls, 1), PATIENCE_MS);
    writeFileSync(path, "2");
    await eventually(() => assert.deepEqual(told, ["2"]), PATIENCE_MS);
    writeFileSync(path, "3");
    await eventually(() => assert.deepEqual(told, ["2", "3"]), PATIENCE_MS);
    for (const stop of stops) stop();
    writeFileSync(path, "bad");
    const start = () => new WatchedFiles([path], parse, log);
    assert.throws(start, (error: Error) => error.message.startsWith(`${path}: `));
  });
}

test("an incomplete or broken certificate chain is refused", async () => {
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

test("an unusable file at the start is an error", () => {
  const { log } = keptLog();
  const path = join(folder, "bad");
  writeFileSync(path, "?");
  assert.throws(() => new WatchedFiles([path], parseNumber, log), {
    message: `${path}: not a number`,
  });
  assert.throws(() => new WatchedFiles([`${path}-missing`], parseNumber, log), { code: "ENOENT" });
});

test("a new certificate takes effect once its key is there", async (t) => {
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
    `warn: ${names} changed, but cannot be used; the previous content stays in use: the key is not the certificate's`,
    `info: ${names} changed: the new content is in use`,
  ]);
});

const EXPIRED = "the certificate of CN=expired expired on 2020-01-02T00:00:00Z";

test("an expired certificate replaces another only once that has expired too", async (t) => {
  const authority = await CertificateAuthority.create({ after }, "an authority");
  const [expired, fresh] = [
    await authority.issue("expired", { expired: true }),
    await authority.issue("fresh"),
  ];
  const until = new Date(Date.now() + 12_000);
  const short = await authority.issue("short", { until });
  const files = { certificate: join(folder, "short.pem"), key: join(folder, "short.key") };
  const place = (pair: typeof short) => {
    copyFileSync(pair.certificate, files.certificate);
    copyFileSync(pair.key, files.key);
  };
  place(short);
  const { lines, log } = keptLog();
  const watched = watchServerCertificates(files, undefined, log);
  const before = watched.value;
  t.after(watched.onChange(() => {}));
  assert.equal(lines.length, 0);
  place(expired);
  const names = `${files.certificate}, ${files.key}`;
  await eventually(() => assert.notEqual(watched.value, before), PATIENCE_MS);
  assert.ok(Date.now() > until.getTime() - 1000);
  const about = `warn: ${files.certificate}:`;
  const refused =
    `warn: ${names} changed, but cannot be used; the previous content stays in use: ` +
    `${files.certificate}: ${EXPIRED}`;
  const replaced = `info: ${names} changed: the new content is in use`;
  await eventually(() => assert.equal(lines.at(-1), `${about} ${EXPIRED}; put a valid one there`));
  const date = until.toISOString().replace(/\.\d+/, "");
  assert.deepEqual(
    lines.filter((line) => !line.includes(`CN=short expired on ${date}`)),
    [refused, replaced, `${about} ${EXPIRED}; put a valid one there`],
  );
  place(fresh);
  await eventually(() => assert.equal(lines.at(-1), replaced), PATIENCE_MS);
});

test("certificates that are not valid at the start are used, with one warning each", async (t) => {
  const authority = await CertificateAuthority.create({ after }, "an authority");
  const [expired, other] = [
    await authority.issue("expired", { expired: true }),
    await authority.issue("other", { expired: true }),
  ];
  const from = new Date(Date.now() + 86_400_000);
  const early = await authority.issue("early", { from, until: new Date(from.getTime() + 1000) });
  const { lines, log } = keptLog();
  const authorities = join(folder, "authorities.pem");
  writeFileSync(authorities, readFileSync(expired.certificate));
  const clients = watchServerCertificates(early, authorities, log);
  t.after(clients.onChange(() => {}));
  const date = from.toISOString().replace(/\.\d+/, "");
  const atStart = [
    `warn: ${early.certificate}: the certificate of CN=early is not valid before ${date}; put a valid one there`,
    `warn: ${authorities}: ${EXPIRED}; put a valid one there`,
  ];
  assert.deepEqual(lines, atStart);
  // An expired certificate may replace another expired one.
  writeFileSync(authorities, readFileSync(other.certificate));
  await eventually(() => assert.equal(lines.length, 4), PATIENCE_MS);
  assert.match(lines[2]!, /^info: .*: the new content is in use$/);
  assert.match(lines[3]!, /^warn: .*authorities\.pem: the certificate of CN=other expired on 2020/);
});

test("one valid authority is enough next to expired ones", async (t) => {
  const authority = await CertificateAuthority.create({ after }, "an authority");
  const expired = await authority.issue("expired", { expired: true });
  const [valid, old] = [readFileSync(authority.certificate), readFileSync(expired.certificate)];
  const path = join(folder, "ca.pem");
  writeFileSync(path, valid);
  const { lines, log } = keptLog();
  const watched = watchClientCertificates(path, undefined, log);
  t.after(watched.onChange(() => {}));
  writeFileSync(path, Buffer.concat([old, old, valid]));
  await eventually(() => assert.equal(lines.length, 2), PATIENCE_MS);
  assert.deepEqual(lines, [
    `info: ${path} changed: the new content is in use`,
    `warn: ${path}: ${EXPIRED} (and 1 more like it); put a valid one there`,
  ]);
  const before = watched.value;
  writeFileSync(path, old);
  await eventually(() => assert.equal(lines.length, 3), PATIENCE_MS);
  assert.match(lines[2]!, /cannot be used; the previous content stays in use: .* expired on 2020/);
  assert.equal(watched.value, before);
});

test("TLS receives files without their byte order mark", async () => {
  const authority = await CertificateAuthority.create({ after }, "an authority");
  const pair = await authority.issue("marked");
  const marked = (path: string) => {
    const copy = join(folder, `marked-${path.split("/").at(-1)}`);
    writeFileSync(copy, `\ufeff${readFileSync(path)}`);
    return copy;
  };
  const [certificate, key, ca] = [pair.certificate, pair.key, authority.certificate].map(marked);
  const identity = { certificate: certificate!, key: key! };
  const { log } = keptLog();
  for (
    const { value } of [
      watchServerCertificates(identity, ca, log),
      watchClientCertificates(ca!, identity, log),
    ]
  ) {
    assert.deepEqual(value.cert, readFileSync(pair.certificate));
    assert.deepEqual(value.key, readFileSync(pair.key));
    assert.deepEqual(value.ca, readFileSync(authority.certificate));
  }
});
