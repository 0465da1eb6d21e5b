/** The permissions in `deno.json` are enough for the scripts, and all of them are needed. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import deno from "../../deno.json" with { type: "json" };
import { OTLP_PROTOCOLS } from "../../telemetry/settings/variables.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { RecordingReceiver } from "./recording-receiver.ts";
import { grpcSeries, scrape } from "../support/scrape.ts";
import { Script, startServer } from "../support/script.ts";
import type { Environment, Owner } from "../support/script.ts";
import { onTerminal, withoutTerminal } from "./terminal.ts";

/**
 * Both scripts use their default addresses. The proxy is set because grpc-js then reads all of its
 * variables.
 */
const ADDRESSES: Environment = {
  ECHO_ADDR: ":0",
  ECHO_DELAY_MS: "0",
  OTEL_EXPORTER_PROMETHEUS_PORT: "0",
  http_proxy: "http://127.0.0.1:1",
  no_proxy: "localhost",
};

const { server, client } = deno.permissions;
/** `grpc-health-check` and `@grpc/reflection` read their own protos from Deno's cache. */
const { npmCache } = JSON.parse(execFileSync("deno", ["info", "--json"], { encoding: "utf8" }));
const literalServer = { ...server, read: ["./echo.proto", npmCache] };

/** `--quiet` hides Deno's note that permission sets are experimental. */
const run = ["deno", "run", "--quiet", "--no-prompt"];

for (
  const { name, serverFlags, clientFlags } of [
    { name: "the sets", serverFlags: ["-P=server"], clientFlags: ["-P=client"] },
    { name: "flags", serverFlags: flags(literalServer), clientFlags: flags(client) },
  ]
) {
  test(`${name}: calls work and metrics are served, without a prompt or a warning`, async (t) => {
    const server = new Script(t, [...run, ...serverFlags, "server.ts"], { environment: ADDRESSES });
    const address = await server.printed(/^Serving on (.+)\n/m);
    const client = new Script(t, [...run, ...clientFlags, "client.ts"], {
      environment: { ...ADDRESSES, ECHO_ADDR: address },
    });
    await client.printed(/^message:/m);
    for (const script of [server, client]) {
      const text = await scrape(await script.printed(/^Metrics at (.+)\n/m));
      assert.ok(Object.keys(grpcSeries(text)).length > 0);
      assert.match(text, /^process_cpu_seconds_total\{/m);
    }
    assert.equal(await client.stop(), 0);
    assert.equal(await server.stop(), 0);
    assert.equal(server.stderr + client.stderr, "");
  });
}

/** The permissions that the server needs as the client of a Collector over gRPC. */
const PUSHING = /^net localhost$|_proxy$/;

for (const { without, set } of allButOne(literalServer)) {
  if (PUSHING.test(without)) continue;
  test(`the server needs ${without}`, async (t) => {
    const script = new Script(t, [...run, ...flags(set), "server.ts"], { environment: ADDRESSES });
    assert.equal(await script.exit(), 1, script.stdout);
    assert.match(script.stderr, /NotCapable|not found in any of the include paths/);
  });
}

for (const { without, set } of allButOne(literalServer)) {
  if (!PUSHING.test(without)) continue;
  test(`the server needs ${without} to push`, async (t) => {
    const receiver = await RecordingReceiver.start(t, "grpc");
    const script = new Script(t, [...run, ...flags(set), "server.ts"], {
      environment: { ...ADDRESSES, ...pushing(`http://${receiver.host}`, "grpc") },
    });
    await script.printedError(
      /cannot be delivered to \S+: .*(Requires env access|Name resolution failed)/,
    );
  });
}

for (const protocol of OTLP_PROTOCOLS) {
  for (const name of ["server", "client"]) {
    test(`with its set, the ${name} pushes to a Collector on this host over ${protocol}`, async (t) => {
      const receiver = await RecordingReceiver.start(t, protocol);
      const { address } = await startServer(t, "deno", { ECHO_ADDR: ":0" });
      const script = new Script(t, [...run, `-P=${name}`, `${name}.ts`], {
        environment: {
          ...ADDRESSES,
          ...(name === "client" && { ECHO_ADDR: address }),
          ...pushing(`http://${receiver.host}`, protocol),
        },
      });
      await eventually(() => assert.ok(receiver.requests.length >= 2), 30_000);
      if (name === "client") await script.printed(/^message:/m);
      assert.equal(await script.stop(), 0);
      assert.equal(script.stderr, "");
    });
  }

  test(`over TLS with ${protocol}, the client needs to read the certificates`, async (t) => {
    const authority = await CertificateAuthority.create(t, "an authority");
    const collector = await authority.issue("collector");
    const { certificate, key } = await authority.issue("client");
    const receiver = await RecordingReceiver.start(t, protocol, {
      cert: readFileSync(collector.certificate),
      key: readFileSync(collector.key),
      ca: readFileSync(authority.certificate),
      requestCert: true,
      rejectUnauthorized: true,
    });
    const { address } = await startServer(t, "deno", { ECHO_ADDR: ":0" });
    const environment = {
      ...ADDRESSES,
      ECHO_ADDR: address,
      ...pushing(`https://${receiver.host}`, protocol),
      OTEL_EXPORTER_OTLP_CERTIFICATE: authority.certificate,
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: certificate,
      OTEL_EXPORTER_OTLP_CLIENT_KEY: key,
    };
    // Replaces the paths that the set allows to read.
    const read = ["./echo.proto", authority.certificate, certificate, key];
    const script = new Script(t, [...run, "-P=client", ...flags({ read }), "client.ts"], {
      environment,
    });
    await eventually(() => assert.ok(receiver.requests.length >= 2), 30_000);
    assert.equal(await script.stop(), 0);
    assert.equal(script.stderr, "");

    const blind = new Script(t, [...run, "-P=client", "client.ts"], { environment });
    assert.equal(await blind.exit(), 1);
    assert.match(
      blind.stderr,
      /^OTEL_EXPORTER_OTLP_CERTIFICATE=".+": must be a file that can be read/,
    );
  });
}

test("with TLS and secrets, the scripts need to read only these files", async (t) => {
  const authority = await CertificateAuthority.create(t, "an authority");
  const ofServer = await authority.issue("server");
  const ofClient = await authority.issue("client");
  const folder = mkdtempSync(join(tmpdir(), "permissions-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const [token, user] = [join(folder, "token"), join(folder, "user")];
  writeFileSync(token, "s3cret\n");
  writeFileSync(user, "prometheus:s3cret\n");
  const ca = authority.certificate;
  const serverEnvironment = {
    ...ADDRESSES,
    ECHO_ADDR: "127.0.0.1:0",
    GRPC_TLS_CERT: ofServer.certificate,
    GRPC_TLS_KEY: ofServer.key,
    GRPC_TLS_CA: ca,
    GRPC_TLS_CLIENT_AUTH: "true",
    GRPC_METRICS_TLS_CERT: ofServer.certificate,
    GRPC_METRICS_TLS_KEY: ofServer.key,
    GRPC_METRICS_BEARER_TOKEN_FILE: token,
    GRPC_METRICS_BASIC_AUTH_FILE: user,
  };
  const read = [...literalServer.read, ofServer.certificate, ofServer.key, ca, token, user];
  const server = new Script(t, [...run, ...flags({ ...literalServer, read }), "server.ts"], {
    environment: serverEnvironment,
  });
  const address = await server.printed(/^Serving on (.+)\n/m);
  const environment = {
    ...ADDRESSES,
    ECHO_ADDR: address.replace("127.0.0.1", "localhost"),
    ECHO_COUNT: "1",
    GRPC_TLS_CA: ca,
    GRPC_TLS_CERT: ofClient.certificate,
    GRPC_TLS_KEY: ofClient.key,
  };
  const readable = ["./echo.proto", ca, ofClient.certificate, ofClient.key];
  const caller = new Script(t, [...run, "-P=client", ...flags({ read: readable }), "client.ts"], {
    environment,
  });
  assert.equal(await caller.exit(), 0, caller.stderr);
  assert.equal(await server.stop(), 0);
  assert.equal(server.stderr + caller.stderr, "");

  for (const [name, path] of Object.entries(serverEnvironment)) {
    if (!read.includes(path)) continue;
    const set = { ...literalServer, read: read.filter((other) => other !== path) };
    const blind = new Script(t, [...run, ...flags(set), "server.ts"], {
      environment: serverEnvironment,
    });
    assert.equal(await blind.exit(), 1);
    assert.ok(blind.stderr.includes(`${name}="${path}": must be a file that can be read`), name);
  }
});

test("the client's permissions", async (t) => {
  const { address } = await startServer(t, "deno", { ECHO_ADDR: ":0" });
  const environment = { ...ADDRESSES, ECHO_ADDR: address, ECHO_COUNT: "1" };
  assert.equal(await exitCode(t, client, environment), 0, "are enough");
  for (const { without, set } of allButOne(client)) {
    await t.test(`it needs ${without}`, async (t) => {
      assert.equal(await exitCode(t, set, environment), 1);
    });
  }
});

test("on a terminal, Deno does not prompt", { skip: withoutTerminal() }, async (t) => {
  const { address } = await startServer(t, "deno", { ECHO_ADDR: ":0" });
  const shown = await onTerminal(t, ["deno", "run", "--quiet", "-P=client", "client.ts"], {
    ...ADDRESSES,
    ECHO_ADDR: address,
    ECHO_COUNT: "1",
  });
  assert.match(shown, /^message:/m);
  assert.doesNotMatch(shown, /Deno requests/);
});

function pushing(endpoint: string, protocol: string): Environment {
  return {
    OTEL_METRICS_EXPORTER: "otlp",
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_METRIC_EXPORT_INTERVAL: "500",
  };
}

function exitCode(owner: Owner, set: PermissionSet, environment: Environment) {
  return new Script(owner, [...run, ...flags(set), "client.ts"], { environment }).exit();
}

type PermissionSet = Readonly<Record<string, readonly string[]>>;

/** Returns a permission set as command-line flags. */
function flags(set: PermissionSet): string[] {
  return Object.entries(set).filter(([, values]) => values.length > 0)
    .map(([kind, values]) => `--allow-${kind}=${values.join(",")}`);
}

function allButOne(set: PermissionSet): { without: string; set: PermissionSet }[] {
  return Object.entries(set).flatMap(([kind, values]) =>
    values.map((value) => ({
      without: `${kind} ${value}`,
      set: { ...set, [kind]: values.filter((other) => other !== value) },
    }))
  );
}
