import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { prometheusConfig } from "../../stack/prometheus-config.ts";
import { PROJECT } from "../support/script.ts";
import { promtool, skipWithout } from "../tools.ts";
import { realCollector } from "./programs.ts";

const run = promisify(execFile);
const read = (file: string) => readFile(join(PROJECT, file), "utf8");

const collector = await realCollector();
const checker = await promtool();
const compose = await composeFile();

for (
  const [files, environment] of [
    [["otel-collector.yaml"], {}],
    [["otel-collector.yaml", "stack/collector/agent.yaml"], {
      COLLECTOR_GATEWAY_ENDPOINT: "gateway:4317",
    }],
    [["otel-collector.yaml", "stack/collector/gateway.yaml"], {
      COLLECTOR_TLS_CERT: "gateway.pem",
      COLLECTOR_TLS_KEY: "gateway.key",
    }],
    [["otel-collector.yaml", "stack/collector/remote-write.yaml"], {
      COLLECTOR_REMOTE_WRITE_ENDPOINT: "https://storage/api/v1/write",
    }],
  ] as const
) {
  test(`the Collector accepts ${files.join(" with ")}`, {
    skip: skipWithout(collector, "the Collector"),
  }, async () => {
    assert.ok(collector);
    const configs = files.flatMap((file) => ["--config", file]);
    const env = { ...process.env, ...environment };
    await run(collector, ["validate", ...configs], { cwd: PROJECT, env });
  });
}

for (
  const [file, missing] of [
    ["stack/collector/agent.yaml", /requires a non-empty "endpoint"/],
    ["stack/collector/remote-write.yaml", /invalid endpoint/],
    ["stack/collector/gateway.yaml", /must include both certificate and key/],
  ] as const
) {
  test(`the Collector rejects ${file} without its required variables`, {
    skip: skipWithout(collector, "the Collector"),
  }, async () => {
    assert.ok(collector);
    const configs = ["--config", "otel-collector.yaml", "--config", file];
    await assert.rejects(run(collector, ["validate", ...configs], { cwd: PROJECT }), missing);
  });
}

test("otel-collector.yaml listens on loopback by default", async () => {
  const addresses = [
    ...(await read("otel-collector.yaml")).matchAll(/^ +(?:endpoint|host): (.*)$/gm),
  ]
    .map(([, address]) => address);
  assert.equal(addresses.length, 5);
  for (const address of addresses) {
    assert.match(address ?? "", /^\$\{env:COLLECTOR_[A-Z_]+:-127\.0\.0\.1(:\d+)?\}$/);
  }
});

test("promtool accepts prometheus.yml", { skip: skipWithout(checker, "promtool") }, async () => {
  assert.ok(checker);
  await run(checker, ["check", "config", join(PROJECT, "prometheus.yml")]);
});

test("promtool accepts the stack's version of prometheus.yml, which has only the stack's jobs", {
  skip: skipWithout(checker, "promtool"),
}, async (t) => {
  assert.ok(checker);
  const folder = await mkdtemp(join(tmpdir(), "prometheus-config-"));
  t.after(() => rm(folder, { recursive: true }));
  const targets = { prometheus: "127.0.0.1:1", collector: "127.0.0.1:2" };
  const config = prometheusConfig(await read("prometheus.yml"), targets, PROJECT);
  const file = join(folder, "prometheus.yml");
  await writeFile(file, config);
  const { stdout } = await run(checker, ["check", "config", file]);
  assert.match(stdout, /rule files? found/);
  assert.deepEqual(config.match(/(?<=job_name: ).*/g), Object.keys(targets));
  assert.deepEqual(config.match(/(?<=targets: ).*/g), ['["127.0.0.1:1"]', '["127.0.0.1:2"]']);
  assert.match(config, /honor_labels: true/);
});

test("a job that is missing in prometheus.yml is an error", async () => {
  const text = await read("prometheus.yml");
  assert.throws(() => prometheusConfig(text, { nobody: "127.0.0.1:1" }, PROJECT), /no job nobody/);
});

test("compose.yaml is valid, runs the pinned versions and mounts existing files", {
  skip: skipWithout(compose, "docker compose or Python's yaml"),
}, async () => {
  assert.ok(compose);
  const { services } = JSON.parse(compose) as { services: Record<string, ComposeService> };
  const version = (text: string, pattern: RegExp) => pattern.exec(text)?.[1];
  const pins = await read("runtimes/package.json");
  const images = {
    collector: `otel/opentelemetry-collector-contrib:${
      version(await read("stack/collector/builder.yaml"), /^ {2}version: (.*)$/m)
    }`,
    server: `oven/bun:${version(pins, /"bun": "(.*)"/)}`,
    client: `denoland/deno:${version(pins, /"deno": "(.*)"/)}`,
  };
  for (const [name, image] of Object.entries(images)) assert.equal(services[name]?.image, image);
  for (const { volumes = [] } of Object.values(services)) {
    for (const volume of volumes) {
      const source = typeof volume === "string" ? volume.split(":")[0]! : volume.source;
      assert.ok(existsSync(join(source.startsWith("/") ? "/" : PROJECT, source)), source);
    }
  }
});

interface ComposeService {
  readonly image: string;
  /** The short form of the file, or the long form that `docker compose` prints. */
  readonly volumes?: readonly (string | { source: string })[];
}

/**
 * Returns compose.yaml as JSON, from `docker compose` if it is installed, or else from Python's
 * YAML parser, which only checks the syntax.
 */
async function composeFile(): Promise<string | undefined> {
  const python = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
  const docker = ["compose", "--profile=grafana", "config", "--format=json"];
  for (
    const [program, ...args] of [["docker", ...docker], ["python3", "-c", python, "compose.yaml"]]
  ) {
    try {
      return (await run(program!, args, { cwd: PROJECT })).stdout;
    } catch (error) {
      // An error in the file must not count as a missing parser.
      const { stderr = "" } = error as { stderr?: string };
      if (/ScannerError|ParserError|validating|yaml:/.test(stderr)) throw error;
    }
  }
  return undefined;
}
