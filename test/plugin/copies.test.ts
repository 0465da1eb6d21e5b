/** The plugin with another copy of grpc-js than its own, in one process. */
import * as own from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { GrpcOpenTelemetry } from "../../plugin/mod.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import { echoHandlers, echoService, unary } from "../support/echo.ts";
import type { EchoClient, EchoMessage } from "../support/echo.ts";
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

/** Loads a copy of grpc-js. A hidden copy is not in the cache of modules, as if it were bundled. */
function load(name: string, isHidden = false): Grpc {
  const copy = require(name) as Grpc;
  for (const path of Object.keys(require.cache)) {
    if (isHidden && path.includes(name)) delete require.cache[path];
  }
  return copy;
}

/** Listens on a free port with each of the credentials. */
function listen(server: own.Server, credentials: own.ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync("localhost:0", credentials, (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
}

/** Makes a call with each kind of credentials, and checks what its clients and server record. */
async function assertRecorded(t: TestContext, grpc: Grpc): Promise<void> {
  const authority = await CertificateAuthority.create(t, "copies");
  const { certificate, key } = await authority.issue("server");
  const root = await readFile(authority.certificate);
  const identity = { cert_chain: await readFile(certificate), private_key: await readFile(key) };
  const served = new Recording();
  const server = new GrpcOpenTelemetry(served).instrumentServer(new grpc.Server());
  const tokens: own.MetadataValue[] = [];
  server.addService(echoService, {
    ...echoHandlers,
    UnaryEcho(
      call: own.ServerUnaryCall<EchoMessage, EchoMessage>,
      reply: own.sendUnaryData<EchoMessage>,
    ) {
      tokens.push(...call.metadata.get("authorization"));
      reply(null, call.request);
    },
  });
  t.after(() => server.forceShutdown());
  const insecure = await listen(server, grpc.ServerCredentials.createInsecure());
  const secure = await listen(server, grpc.ServerCredentials.createSsl(root, [identity]));

  const tls = grpc.credentials.createSsl(root);
  const token = grpc.credentials.createFromMetadataGenerator((_, callback) => {
    const metadata = new grpc.Metadata();
    metadata.set("authorization", "token");
    callback(null, metadata);
  });
  await assertClientRecorded(t, grpc, insecure, grpc.credentials.createInsecure());
  await assertClientRecorded(t, grpc, secure, tls);
  await assertClientRecorded(
    t,
    grpc,
    secure,
    grpc.credentials.combineChannelCredentials(tls, token),
  );
  assert.deepEqual(tokens, ["token"]);
  await eventuallyEqual(
    () => served.series(),
    serverSeries("UnaryEcho", "OK", { sent: 21, received: 21, count: 3 }),
  );
}

/** Connects a client, makes a call, and checks that both are recorded. */
async function assertClientRecorded(
  t: TestContext,
  grpc: Grpc,
  port: number,
  credentials: own.ChannelCredentials,
): Promise<void> {
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({
    meterProvider: recording.meterProvider,
    enableMetrics: ["grpc.subchannel.connection_attempts_succeeded"],
  });
  const Client = grpc.makeClientConstructor(echoService, "Echo");
  const options = otel.clientOptions({ "grpc.use_local_subchannel_pool": 1 });
  const client = new Client(`localhost:${port}`, credentials, options) as unknown as EchoClient;
  t.after(() => client.close());
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + 10_000, (error) => error ? reject(error) : resolve());
  });
  assert.equal(await unary(client, "hello"), "hello");
  assert.deepEqual(await recording.series(), {
    ...clientSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
    "grpc.subchannel.connection_attempts_succeeded{}": "1",
  });
  assert.deepEqual(await recording.valuesOf("grpc.target"), [`dns:///localhost:${port}`]);
}

for (const name of Object.keys(manifest.dependencies)) {
  test(`clients and servers of ${name} are recorded`, { skip }, (t) => {
    return assertRecorded(t, load(name));
  });

  test(`clients and servers of a bundled ${name} are recorded`, { skip }, (t) => {
    return assertRecorded(t, load(name, true));
  });

  test(`a channel of ${name} that exists is recorded`, { skip }, async (t) => {
    const grpc = load(name);
    const server = new own.Server();
    server.addService(echoService, echoHandlers);
    t.after(() => server.forceShutdown());
    const port = await listen(server, own.ServerCredentials.createInsecure());
    const recording = new Recording();
    const otel = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider });
    const Client = grpc.makeClientConstructor(echoService, "Echo");
    const credentials = grpc.credentials.createInsecure();
    const client = new Client(`localhost:${port}`, credentials) as unknown as EchoClient;
    t.after(() => client.close());
    assert.equal(await unary(client, "before"), "before");
    const channel = client.getChannel();
    assert.equal(otel.instrumentChannel(channel), channel);
    assert.equal(await unary(client, "hello"), "hello");
    assert.deepEqual(
      await recording.series(),
      clientSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
    );
  });
}

test("a client without credentials fails as it does without the plugin", () => {
  const otel = new GrpcOpenTelemetry(new Recording());
  const Client = own.makeClientConstructor(echoService, "Echo");
  for (const options of [{}, otel.clientOptions()]) {
    assert.throws(
      () => new Client("localhost:1", undefined as unknown as own.ChannelCredentials, options),
      /^TypeError: Channel credentials must be a ChannelCredentials object$/,
    );
  }
});
