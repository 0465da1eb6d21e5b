/** Global registration with several copies of grpc-js in one process. */
import * as own from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import { customLabel, GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { echoHandlers, echoService, unary } from "../support/echo.ts";
import type { EchoClient } from "../support/echo.ts";
import { clientSeries, serverSeries } from "../support/echo-pair.ts";
import { eventuallyEqual } from "../support/eventually.ts";
import { installedPackages } from "../support/npm-packages.ts";
import { Recording } from "../support/series.ts";
import { skipWithout } from "../tools.ts";
import manifest from "../versions/package.json" with { type: "json" };

type Grpc = typeof own;

const packages = await installedPackages("test/versions");
const skip = skipWithout(packages, "the package registry");
const require = createRequire(join(packages ?? "/", "copies.js"));
const versions = Object.keys(manifest.dependencies);

/** Loads a copy that is not loaded yet. */
function requireAnew(name: string): Grpc {
  forget(name);
  return require(name) as Grpc;
}

/** Removes a copy from the cache of modules, as if it were bundled. */
function forget(name: string): void {
  for (const path of Object.keys(require.cache)) {
    if (path.includes(`${name}/`)) delete require.cache[path];
  }
}

/** A server and a client that nobody instruments. They are stopped when the test ends. */
async function barePair(t: TestContext, grpc: Grpc): Promise<EchoClient> {
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  t.after(() => server.forceShutdown());
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  const Client = grpc.makeClientConstructor(echoService, "Echo");
  const credentials = grpc.credentials.createInsecure();
  const client = new Client(`localhost:${port}`, credentials) as unknown as EchoClient;
  t.after(() => client.close());
  return client;
}

function newPlugin(): { otel: GrpcOpenTelemetry; recording: Recording } {
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({
    meterProvider: recording.meterProvider,
    optionalLabels: ["grpc.client.call.custom"],
    targetAttributeFilter: () => false,
  });
  return { otel, recording };
}

/** Makes a call with each client, and checks what is recorded of them. */
async function assertRecorded(clients: readonly EchoClient[], recording: Recording): Promise<void> {
  for (const client of clients) {
    assert.equal(await unary(client, "hello", customLabel("custom")), "hello");
  }
  const count = clients.length;
  const bytes = { sent: 7 * count, received: 7 * count, count };
  const labelled = Object.entries(clientSeries("UnaryEcho", "OK", bytes)).map(([name, value]) =>
    [name.replace("{", "{client.call.custom=custom,"), value] as const
  );
  await eventuallyEqual(() => recording.series(), {
    ...Object.fromEntries(labelled),
    ...serverSeries("UnaryEcho", "OK", bytes),
  });
}

test("all copies that are loaded are recorded", { skip }, async (t) => {
  const clients = [];
  for (const grpc of [own, ...versions.map(requireAnew)]) clients.push(await barePair(t, grpc));
  // The servers that are bound, and the clients that are connected, are those of all copies.
  for (const client of clients) assert.equal(await unary(client, "before"), "before");
  const { otel, recording } = newPlugin();
  otel.registerGlobal();
  t.after(() => otel.deregisterGlobal());
  await assertRecorded(clients, recording);
});

test("copies that are loaded later are recorded", { skip }, async (t) => {
  const { otel, recording } = newPlugin();
  otel.registerGlobal();
  t.after(() => otel.deregisterGlobal());
  const clients = [];
  for (const name of versions) clients.push(await barePair(t, requireAnew(name)));
  await assertRecorded(clients, recording);
});

const skipImport = "Deno" in globalThis
  ? "Deno imports a file of a package by its path as an ES module, whatever it is"
  : skip;

test("a copy that an ES module imports later is recorded", { skip: skipImport }, async (t) => {
  const [name = ""] = versions;
  forget(name);
  const { otel, recording } = newPlugin();
  otel.registerGlobal();
  t.after(() => otel.deregisterGlobal());
  const url = `${pathToFileURL(require.resolve(name))}`;
  const { default: grpc } = await import(url) as { default: Grpc };
  await assertRecorded([await barePair(t, grpc)], recording);
});

test("a copy that is loaded between two registrations is recorded", { skip }, async (t) => {
  const first = newPlugin();
  first.otel.registerGlobal();
  first.otel.deregisterGlobal();
  const client = await barePair(t, requireAnew(versions[0]!));
  assert.equal(await unary(client, "before"), "before");
  const second = newPlugin();
  second.otel.registerGlobal();
  t.after(() => second.otel.deregisterGlobal());
  await assertRecorded([client], second.recording);
  assert.deepEqual(await first.recording.series(), {});
});

test("a method keeps its name, and what others have attached to it", { skip }, (t) => {
  const { prototype } = requireAnew(versions[0]!).Server;
  const original = prototype.register;
  const __unwrap = () => {};
  Object.defineProperty(original, "__unwrap", { configurable: true, value: __unwrap });
  const { otel } = newPlugin();
  otel.registerGlobal();
  t.after(() => otel.deregisterGlobal());
  const { register } = prototype;
  assert.notEqual(register, original);
  assert.deepEqual([register.name, register.length], ["register", 5]);
  assert.equal((register as unknown as { __unwrap: unknown }).__unwrap, __unwrap);
});

test("a bundled copy is recorded if the application passes it", { skip }, async (t) => {
  // No plugin is registered, so nothing sees how it is loaded.
  const grpc = requireAnew(versions[0]!);
  forget(versions[0]!);
  const { otel, recording } = newPlugin();
  otel.registerGlobal({ modules: [grpc] });
  t.after(() => otel.deregisterGlobal());
  await assertRecorded([await barePair(t, grpc)], recording);
});

test("what is not grpc-js is not accepted", () => {
  const { otel } = newPlugin();
  for (const module of [undefined, {}, { Server: own.Server }]) {
    assert.throws(
      () => otel.registerGlobal({ modules: [module as unknown as Grpc] }),
      /^TypeError: registerGlobal: modules\[0\] has no Channel, Client and Server/,
    );
  }
  otel.registerGlobal();
  otel.deregisterGlobal();
});
