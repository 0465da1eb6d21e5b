/**
 * Random environments of good, nearly good and junk values: telemetry starts or names the bad
 * variables, and shows no secret.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { inspect } from "node:util";
import { readSettings, variables } from "../../../echo/settings.ts";
import { helpText, StartupError } from "../../../telemetry/settings/mod.ts";
import { startTelemetry } from "../../../telemetry.ts";
import { CertificateAuthority } from "../../support/certificates.ts";
import { freePort } from "../../support/ports.ts";

/** The part of fast-check used here. Deno does not find its types under this path. */
interface FastCheck {
  assert(property: Property, parameters: { numRuns: number }): void | Promise<void>;
  property(value: Arbitrary<Environment>, check: (environment: Environment) => void): Property;
  asyncProperty(
    value: Arbitrary<Environment>,
    check: (environment: Environment) => Promise<void>,
  ): Property;
  constant<T>(value: T): Arbitrary<T>;
  constantFrom<T>(...values: T[]): Arbitrary<T>;
  string(constraints?: { unit?: "binary"; maxLength?: number }): Arbitrary<string>;
  integer(): Arbitrary<number>;
  subarray<T>(values: readonly T[], constraints: { maxLength: number }): Arbitrary<T[]>;
  oneof<T>(...values: Arbitrary<T>[]): Arbitrary<T>;
  record<T>(
    model: Record<string, Arbitrary<T>>,
    constraints: { requiredKeys: [] },
  ): Arbitrary<Record<string, T>>;
}
interface Arbitrary<T> {
  map<U>(mapper: (value: T) => U): Arbitrary<U>;
}
type Property = object;
type Environment = Readonly<Record<string, string>>;

/** Loaded by the path of its CommonJS file, which Deno can load from a folder of packages. */
const fc: FastCheck = createRequire(import.meta.url)(
  "../../../runtimes/node_modules/fast-check/lib/cjs/fast-check.js",
);

const PARSED = 5000;
/** Each of these environments really listens, connects and stops. */
const STARTED = 150;

/** Long enough not to appear by chance. */
const SECRET = "s3cretXq7Zw9Lk2";

const folder = mkdtempSync(join(tmpdir(), "fuzz-"));
after(() => rmSync(folder, { recursive: true }));
const authority = await CertificateAuthority.create({ after }, "an authority");
const { certificate, key } = await authority.issue("somebody");
const file = (name: string, content: string) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const FILES = [
  certificate,
  key,
  authority.certificate,
  file("one line", `${SECRET}\n`),
  file("empty", ""),
  folder,
  join(folder, "none"),
];

const NAMES = Object.keys(readSettings({}));
/** Values that some variable accepts; every variable gets all of them. */
const WORDS = fc.constantFrom(
  ...["prometheus", "otlp", "console", "none", "otlp,console", "none,otlp", "OTLP", ","],
  ...["http/json", "http/protobuf", "grpc", "gzip", "true", "false", "TRUE", "1"],
  ...["tracecontext", "grpc-trace-bin,baggage", "always_off", "traceidratio", "warn", "all"],
  ...["127.0.0.1", "localhost", "::1", "[::1]:0", ":0", ":65536", "0", "0.5", "-1", "1e9"],
  ...["http://127.0.0.1:1", `http://user:${SECRET}@127.0.0.1:1/?key=${SECRET}`],
  ...["https://localhost:1", "http://", "ftp://localhost", "http://[", "//", "UnaryEcho"],
  ...["a=1,b=%20", "service.name=x", "=", "a", "a=%", "%00=%01", ...FILES],
);
const ANYTHING = fc.oneof(
  WORDS,
  WORDS,
  WORDS,
  fc.integer().map(String),
  fc.string({ maxLength: 30 }),
  fc.string({ unit: "binary", maxLength: 30 }),
);
/** Variables whose values are secrets, well formed or not. */
const SECRETIVE = /_HEADERS$/;
const HEADERS = fc.constantFrom(
  `authorization=Bearer%20${SECRET}`,
  `a=b,x-key=${SECRET}`,
  `${SECRET}`,
  `x=${SECRET}%`,
  `=${SECRET}`,
  `x=${SECRET}%0D%0Ay: z`,
  `x-bin=${SECRET}`,
);

function environments(values: (name: string) => Arbitrary<string>): Arbitrary<Environment> {
  const model = Object.fromEntries(NAMES.map((name) => [name, values(name)]));
  return fc.record(model, { requiredKeys: [] });
}

test("5,000 random environments are accepted, or each bad variable is reported in a line", () => {
  const outcomes = { accepted: 0, refused: 0 };
  // Full environments are nearly all bad, so half of them have one variable at most.
  const few = fc.constantFrom(...NAMES);
  const one = fc.record({ name: few, value: ANYTHING }, { requiredKeys: [] })
    .map(({ name, value }): Environment => name && value !== undefined ? { [name]: value } : {});
  const all = environments((name) => SECRETIVE.test(name) ? HEADERS : ANYTHING);
  const check = (environment: Environment) => {
    try {
      readSettings(environment);
      outcomes.accepted++;
    } catch (error) {
      assert.ok(error instanceof StartupError, String(error));
      outcomes.refused++;
      checkComplaint(error.message, environment);
    }
  };
  fc.assert(fc.property(one, check), { numRuns: PARSED / 2 });
  fc.assert(fc.property(all, check), { numRuns: PARSED / 2 });
  console.log(outcomes);
  assert.ok(outcomes.accepted > 100 && outcomes.refused > 100, JSON.stringify(outcomes));
});

/** Fails unless each line is about a variable that is set or missing next to another one, in order. */
function checkComplaint(message: string, environment: Environment): void {
  const names = message.split("\n").map((line) => {
    const [, name = "", value = "", allowed = ""] =
      /^([A-Z_]+)=(\(not shown\)|"(?:[^"\\]|\\.)*"): must be (.+)$/.exec(line) ?? [];
    assert.ok(helpText(variables).includes(allowed) && allowed !== "", line);
    assert.ok(value !== '""' || !environment[name] || /_KEY$/.test(name), line);
    return name;
  });
  assert.deepEqual(names, NAMES.filter((name) => names.includes(name)), message);
  assert.ok(!message.includes(SECRET), message);
}

/** An environment is made of several parts. Most are good, alone and together. */
const PARTS: readonly Environment[] = [
  { OTEL_METRICS_EXPORTER: "prometheus" },
  { OTEL_METRICS_EXPORTER: "otlp" },
  { OTEL_METRICS_EXPORTER: "otlp,prometheus,console" },
  { OTEL_METRICS_EXPORTER: "none" },
  { OTEL_TRACES_EXPORTER: "otlp,console", OTEL_PROPAGATORS: "grpc-trace-bin" },
  { OTEL_SDK_DISABLED: "true" },
  { OTEL_EXPORTER_PROMETHEUS_HOST: "0.0.0.0" },
  { OTEL_EXPORTER_PROMETHEUS_HOST: "no.such.host.invalid" },
  { OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" },
  { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" },
  { OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "grpc" },
  { OTEL_EXPORTER_OTLP_ENDPOINT: `https://somebody:${SECRET}@localhost:1/path?key=${SECRET}` },
  { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `http://127.0.0.1:1/${"x".repeat(300)}` },
  { OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${SECRET},x-key=${SECRET}` },
  { OTEL_EXPORTER_OTLP_HEADERS: SECRET },
  { OTEL_EXPORTER_OTLP_COMPRESSION: "gzip" },
  { OTEL_EXPORTER_OTLP_CERTIFICATE: authority.certificate },
  { OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: certificate, OTEL_EXPORTER_OTLP_CLIENT_KEY: key },
  { GRPC_METRICS_TLS_CERT: certificate, GRPC_METRICS_TLS_KEY: key },
  { GRPC_METRICS_TLS_CLIENT_CA: authority.certificate },
  { GRPC_METRICS_BEARER_TOKEN_FILE: file("token", `${SECRET}\n`) },
  { GRPC_METRICS_BASIC_AUTH_FILE: file("user", `prometheus:${SECRET}\n`) },
  { GRPC_METRICS_BASIC_AUTH_FILE: file("many users", `a:${SECRET}\nb:${SECRET}\n`) },
  { OTEL_RESOURCE_ATTRIBUTES: "service.name=%00%C3%A9,service.instance.id=" },
  { OTEL_LOG_LEVEL: "all" },
];

test(`${STARTED} random environments start telemetry as a whole or not at all`, async (t) => {
  const printed: string[] = [];
  for (const method of ["log", "error", "info", "debug", "dir"] as const) {
    t.mock.method(console, method, (...words: unknown[]) => void printed.push(inspect(words)));
  }
  const before = { ...process.env };
  t.after(() => setVariables(before));
  const port = await freePort();
  const outcomes = { started: 0, refused: 0 };
  const check = async (environment: Environment) => {
    setVariables({ OTEL_METRIC_EXPORT_TIMEOUT: "100", ...environment });
    try {
      const telemetry = await startTelemetry({
        defaultServiceName: "fuzz",
        defaultPrometheusPort: port,
      });
      outcomes.started++;
      telemetry.meterProvider.getMeter("fuzz").createCounter("fuzz").add(1);
      await telemetry.shutdown();
    } catch (error) {
      assert.ok(error instanceof StartupError, inspect(error));
      outcomes.refused++;
      printed.push(error.message);
    }
    // Nothing keeps running, whether it started or not.
    await listenOnce(port);
  };
  const environment = fc.subarray(PARTS, { maxLength: 8 })
    .map((parts): Environment => Object.assign({}, ...parts));
  await fc.assert(fc.asyncProperty(environment, check), { numRuns: STARTED });
  t.mock.restoreAll();
  console.log(outcomes, `${printed.length} messages`);
  assert.ok(!printed.join("\n").includes(SECRET));
  assert.ok(outcomes.started > STARTED / 5 && outcomes.refused > STARTED / 5);
});

/** Fails if the port is in use. */
async function listenOnce(port: number): Promise<void> {
  const server = createServer().listen(port, "0.0.0.0");
  await once(server, "listening");
  await new Promise((resolve) => server.close(resolve));
}

/** Sets all variables of the scripts, and deletes those that `environment` lacks. */
function setVariables(environment: NodeJS.ProcessEnv): void {
  for (const name of NAMES) {
    const value = environment[name];
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}
