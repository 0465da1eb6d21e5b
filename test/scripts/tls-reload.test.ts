/** Certificates that are replaced while calls are made. */
import assert from "node:assert/strict";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { CertificateAuthority } from "../support/certificates.ts";
import type { KeyPair } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { shownCertificate } from "../support/peer-certificate.ts";
import { RUNTIMES, startClient, startServer } from "../support/script.ts";
import type { Environment } from "../support/script.ts";

const owner = { after };
const first = await CertificateAuthority.create(owner, "first authority");
const second = await CertificateAuthority.create(owner, "second authority");
const folder = await mkdtemp(join(tmpdir(), "tls-reload-"));
after(() => rm(folder, { recursive: true }));

/** Certificate files of one script, which the tests replace. */
class Replaceable {
  readonly #paths: { certificate: string; key: string; ca: string };

  constructor(name: string) {
    const path = (kind: string) => join(folder, `${name}-${kind}.pem`);
    this.#paths = { certificate: path("cert"), key: path("key"), ca: path("ca") };
  }

  get environment(): Environment {
    const { certificate, key, ca } = this.#paths;
    return { GRPC_TLS_CERT: certificate, GRPC_TLS_KEY: key, GRPC_TLS_CA: ca };
  }

  async replace({ certificate, key }: KeyPair, authority: CertificateAuthority): Promise<void> {
    await copyFile(certificate, this.#paths.certificate);
    await copyFile(key, this.#paths.key);
    await copyFile(authority.certificate, this.#paths.ca);
  }
}

const IN_USE = /changed: the new content is in use/;

for (const runtime of RUNTIMES) {
  suite(`${runtime}`, { concurrency: 2, timeout: 300_000 }, () => {
    test("the server: new connections get the new certificate, and no call is dropped", async (t) => {
      const files = new Replaceable(`${runtime}-server`);
      const before = await first.issue(`${runtime}-before`);
      await files.replace(before, first);
      const { script, address } = await startServer(t, runtime, files.environment);
      const { script: caller } = await startClient(t, runtime, {
        ECHO_ADDR: address.replace("127.0.0.1", "localhost"),
        GRPC_TLS_CA: first.certificate,
        ECHO_INTERVAL_MS: "10",
      });
      await caller.printed(/^message:/m);
      const shown = () => shownCertificate(address, first.certificate);
      assert.equal(await shown(), `${runtime}-before`);

      await files.replace(await first.issue(`${runtime}-after`), first);
      await script.printedError(IN_USE);
      await eventually(async () => assert.equal(await shown(), `${runtime}-after`), 30_000);
      const replies = () => caller.stdout.match(/^message:/gm)!.length;
      const sofar = replies();
      await eventually(() => assert.ok(replies() > sofar + 10), 30_000);
      assert.equal(await caller.stop(), 0);
      assert.equal(caller.stderr, "");
      assert.doesNotMatch(caller.stdout, /^Errors:/m);
      assert.equal(await script.stop(), 0);
      assert.equal(script.stderr.trimEnd().split("\n").length, 1, script.stderr);
    });

    test("the server: a new client authority admits its own clients and no others", async (t) => {
      const files = new Replaceable(`${runtime}-mutual`);
      const [before, after] = [
        await first.issue(`${runtime}-mutual-before`),
        await second.issue(`${runtime}-mutual-after`),
      ];
      await files.replace(before, first);
      const { script, address } = await startServer(t, runtime, {
        ...files.environment,
        GRPC_TLS_CLIENT_AUTH: "true",
      });
      const exitCode = async (authority: CertificateAuthority, pair: KeyPair) => {
        const { script: caller } = await startClient(t, "node", {
          ECHO_ADDR: address.replace("127.0.0.1", "localhost"),
          ECHO_COUNT: "1",
          GRPC_TLS_CA: authority.certificate,
          GRPC_TLS_CERT: pair.certificate,
          GRPC_TLS_KEY: pair.key,
        });
        return await caller.exit();
      };
      assert.equal(await exitCode(first, before), 0);
      await files.replace(after, second);
      await script.printedError(IN_USE);
      assert.equal(await exitCode(second, after), 0);
      assert.equal(await exitCode(second, before), 1);
      assert.equal(await script.stop(), 0);
    });

    test("the client: its next connection uses the new certificates", async (t) => {
      const files = new Replaceable(`${runtime}-client`);
      await files.replace(await first.issue(`${runtime}-first`), first);
      const start = async (address: string, authority: CertificateAuthority) => {
        const { certificate, key } = await authority.issue(`${runtime}-of`);
        return await startServer(t, "node", {
          ECHO_ADDR: address,
          GRPC_TLS_CERT: certificate,
          GRPC_TLS_KEY: key,
          GRPC_TLS_CA: authority.certificate,
          GRPC_TLS_CLIENT_AUTH: "true",
        });
      };
      const { script, address } = await start("127.0.0.1:0", first);
      const { script: caller } = await startClient(t, runtime, {
        ...files.environment,
        ECHO_ADDR: address.replace("127.0.0.1", "localhost"),
        ECHO_INTERVAL_MS: "10",
      });
      await caller.printed(/^message:/m);

      await files.replace(await second.issue(`${runtime}-second`), second);
      await caller.printedError(IN_USE);
      await script.stop();
      const replies = () => caller.stdout.match(/^message:/gm)!.length;
      const sofar = replies();
      await start(address, second);
      await eventually(() => assert.ok(replies() > sofar + 10), 30_000);
      assert.equal(await caller.stop(), 0);
    });
  });
}
