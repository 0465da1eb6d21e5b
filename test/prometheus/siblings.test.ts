/** Several processes or threads of one program whose `/metrics` have the same port. */
import assert from "node:assert/strict";
import process from "node:process";
import { after, test } from "node:test";
import { CertificateAuthority } from "../support/certificates.ts";
import { freePort } from "../support/ports.ts";
import { Script } from "../support/script.ts";

const owner = { after };

/** Starts siblings in the runtime of this test. Returns what the two and the third one report. */
async function reports(kind: string, hosts: string, port: number, ...tls: string[]) {
  const runner = process.versions["deno"] === undefined ? [] : ["run", "-A", "--no-check"];
  const program = "test/prometheus/siblings.ts";
  const command = [process.execPath, ...runner, program, kind, hosts, String(port), ...tls];
  const siblings = new Script(owner, command);
  assert.equal(await siblings.exit(), 0, siblings.stderr);
  return JSON.parse(siblings.stdout) as [string, string, string];
}

/** Asserts that one sibling listens, the other one cannot, and the port is free once it is dead. */
async function assertOneListens(kind: string, hosts: string, ...tls: string[]): Promise<void> {
  const port = await freePort();
  const [first, second, heir] = await reports(kind, hosts, port, ...tls);
  const [url = "", error] = [first, second].sort().reverse();
  assert.match(url, new RegExp(`^https?://.*:${port}/metrics$`));
  assert.equal(error, "EADDRINUSE");
  assert.equal(heir, url);
}

const HOSTS = ["127.0.0.1", "localhost", "0.0.0.0", "::"];

for (const host of HOSTS) {
  test(`one worker of a cluster listens on ${host}`, () =>
    assertOneListens("cluster", `${host},${host}`));
}

test("one worker of a cluster listens on overlapping addresses", () =>
  assertOneListens("cluster", "127.0.0.1,0.0.0.0"));

test("one worker of a cluster listens over TLS", async () => {
  const authority = await CertificateAuthority.create(owner, "an authority");
  const { certificate, key } = await authority.issue("server");
  await assertOneListens("cluster", "127.0.0.1,127.0.0.1", certificate, key);
});

test("port 0 gives each worker of a cluster another port", async () => {
  const urls = await reports("cluster", "127.0.0.1,127.0.0.1", 0);
  assert.match(urls.join(" "), /^(http:\/\/127\.0\.0\.1:\d+\/metrics ?){3}$/);
  assert.notEqual(urls[0], urls[1]);
});

for (const kind of ["fork", "thread"]) {
  test(`one sibling listens: ${kind}`, () => assertOneListens(kind, "127.0.0.1,127.0.0.1"));
}
