// Tests that the real Prometheus can scrape over mutual TLS with a token or password only.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { CertificateAuthority } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { RUNTIMES, Script, startServer } from "../support/script.ts";
import { skipWithout } from "../tools.ts";
import { realPrometheus } from "./programs.ts";

const prometheus = await realPrometheus();
const authority = await CertificateAuthority.create({ after }, "an authority");
const server = await authority.issue("server");
const scraper = await authority.issue("prometheus");
const folder = await mkdtemp(join(tmpdir(), "scrape-security-"));
after(() => rm(folder, { recursive: true }));
const [token, user] = [join(folder, "token"), join(folder, "user")];
await writeFile(token, "s3cret-token\n");
await writeFile(user, "prometheus:s3cret-password\n");

const known = { cert_file: scraper.certificate, key_file: scraper.key };
const trusting = { ca_file: authority.certificate, server_name: "localhost" };
const password = { username: "prometheus", password: "s3cret-password" };

/** The settings of each job, and whether its scrapes succeed. */
const JOBS = {
  token: {
    up: "1",
    job: { tls_config: { ...trusting, ...known }, authorization: { credentials_file: token } },
  },
  password: { up: "1", job: { tls_config: { ...trusting, ...known }, basic_auth: password } },
  "no secret": { up: "0", job: { tls_config: { ...trusting, ...known } } },
  "wrong password": {
    up: "0",
    job: {
      tls_config: { ...trusting, ...known },
      basic_auth: { ...password, password: "s3cret-token" },
    },
  },
  "no certificate": {
    up: "0",
    job: { tls_config: trusting, authorization: { credentials_file: token } },
  },
};

for (const runtime of RUNTIMES) {
  test(`Prometheus scrapes a ${runtime} server only with a certificate and a secret`, {
    skip: skipWithout(prometheus, "Prometheus"),
    timeout: 120_000,
  }, async (t) => {
    const { script, metricsUrl } = await startServer(t, runtime, {
      GRPC_METRICS_TLS_CERT: server.certificate,
      GRPC_METRICS_TLS_KEY: server.key,
      GRPC_METRICS_TLS_CLIENT_CA: authority.certificate,
      GRPC_METRICS_BEARER_TOKEN_FILE: token,
      GRPC_METRICS_BASIC_AUTH_FILE: user,
    });
    const config = join(folder, `${runtime}.json`);
    // Every JSON document is also YAML.
    await writeFile(
      config,
      JSON.stringify({
        global: { scrape_interval: "1s" },
        scrape_configs: Object.entries(JOBS).map(([name, { job }]) => ({
          job_name: name,
          scheme: "https",
          static_configs: [{ targets: [new URL(metricsUrl).host] }],
          ...job,
        })),
      }),
    );
    const process = new Script(t, [
      prometheus!,
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, runtime)}`,
      "--web.listen-address=127.0.0.1:0",
    ]);
    const address = await process.printedError(/msg="Listening on".* address=(\S+)/);
    const expected = Object.entries(JOBS).map(([name, { up }]) => [name, up]);
    await eventually(async () => {
      const response = await fetch(`http://${address}/api/v1/query?query=up`);
      const { data } = await response.json() as {
        data: { result: { metric: { job: string }; value: [number, string] }[] };
      };
      const up = Object.fromEntries(
        data.result.map(({ metric, value }) => [metric.job, value[1]]),
      );
      assert.deepEqual(up, Object.fromEntries(expected));
    }, 60_000);
    await process.stop();
    assert.equal(await script.stop(), 0);
    assert.equal(script.stderr, "");
  });
}
