import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { ConnectionOptions } from "node:tls";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { Connections, LISTENER_LIMITS, type ListenerLimits } from "../../prometheus/connections.ts";
import { createLimitedServer, startListener } from "../../prometheus/listener.ts";
import { PrometheusReader, startScrapeEndpoint } from "../../prometheus/mod.ts";
import type { ScrapeEndpointTls } from "../../prometheus/mod.ts";
import { watchServerCertificates } from "../../tls/certificates.ts";
import { CertificateAuthority } from "../support/certificates.ts";
import type { KeyPair } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { shownCertificate } from "../support/peer-certificate.ts";
import { requestText, sendRaw } from "./client.ts";

const owner = { after };
const authority = await CertificateAuthority.create(owner, "an authority");
const stranger = await CertificateAuthority.create(owner, "another authority");
const server = await authority.issue("server");
const client = await authority.issue("client");
const folder = mkdtempSync(join(tmpdir(), "metrics-tls-"));
after(() => rmSync(folder, { recursive: true }));

const trusting: ConnectionOptions = { ca: readFileSync(authority.certificate) };
function showing({ certificate, key }: KeyPair): ConnectionOptions {
  return { ...trusting, cert: readFileSync(certificate), key: readFileSync(key) };
}

async function withEndpoint(
  tls: ScrapeEndpointTls,
  action: (url: string) => Promise<void>,
): Promise<void> {
  const reader = new PrometheusReader();
  const provider = new MeterProvider({ readers: [reader] });
  provider.getMeter("m").createCounter("calls").add(1);
  const endpoint = await startScrapeEndpoint({ reader, host: "127.0.0.1", port: 0, tls });
  try {
    await action(endpoint.url);
  } finally {
    await endpoint.close();
  }
}

const SCRAPE = requestText("GET /metrics");

test("with certificates, metrics are served over TLS only", () =>
  withEndpoint(server, async (url) => {
    assert.match(url, /^https:\/\/127\.0\.0\.1:\d+\/metrics$/);
    const { status, rest } = await sendRaw(url, SCRAPE, trusting);
    assert.equal(status, 200);
    assert.match(rest, /^calls_total\{.*\} 1$/m);
    const plain = await sendRaw(url, SCRAPE);
    assert.notEqual(plain.status, 200);
    assert.doesNotMatch(plain.rest, /calls/);
    assert.equal((await sendRaw(url, SCRAPE, trusting)).status, 200);
  }));

test("only clients with a certificate of the right authority are answered", () =>
  withEndpoint({ ...server, clientCa: authority.certificate }, async (url) => {
    assert.equal((await sendRaw(url, SCRAPE, showing(client))).status, 200);
    const refused = [
      trusting,
      showing(await stranger.issue("stranger")),
      showing(await authority.issue("expired", { expired: true })),
    ];
    for (const options of refused) assert.equal((await sendRaw(url, SCRAPE, options)).status, 0);
    assert.equal((await sendRaw(url, SCRAPE, showing(client))).status, 200);
  }));

test("a new certificate is used on the same port, and requests in progress are answered", async () => {
  const files = { certificate: join(folder, "cert.pem"), key: join(folder, "key.pem") };
  const place = ({ certificate, key }: KeyPair) => {
    copyFileSync(certificate, files.certificate);
    copyFileSync(key, files.key);
  };
  place(server);
  const certificates = watchServerCertificates(files, undefined, { info() {}, warn() {} });
  const pending: (() => void)[] = [];
  const listener = await startListener(
    (request, response) => {
      if (request.url === "/later") pending.push(() => response.end("later"));
      else response.end("now");
    },
    { host: "127.0.0.1", port: 0, tls: certificates },
  );
  const url = `https://127.0.0.1:${listener.port}/`;
  const shown = () => shownCertificate(new URL(url).host, authority.certificate);
  try {
    assert.equal(await shown(), "server");
    const later = sendRaw(url, requestText("GET /later"), trusting);
    await eventually(() => assert.equal(pending.length, 1));
    place(await authority.issue("renewed"));
    await eventually(async () => assert.equal(await shown(), "renewed"), 30_000);
    pending[0]?.();
    assert.equal((await later).rest, "later");
    assert.equal((await sendRaw(url, requestText("GET /"), trusting)).rest, "now");
  } finally {
    await listener.close();
  }
  await assert.rejects(shown());
});

/** Runs a test against a TLS listener with other limits. */
async function listening(
  limits: Partial<ListenerLimits>,
  action: (url: string) => Promise<void>,
): Promise<void> {
  const tls = watchServerCertificates(server, undefined, { info() {}, warn() {} });
  const listener = await startListener(
    (_request, response) => response.end("hello"),
    { host: "127.0.0.1", port: 0, tls },
    { ...LISTENER_LIMITS, ...limits },
  );
  try {
    await action(`https://127.0.0.1:${listener.port}/`);
  } finally {
    await listener.close();
  }
}

test("the limits of time, size and idleness apply with TLS too", () =>
  listening({ headers: 500, request: 1_000, idle: 500, headerBytes: 2048 }, async (url) => {
    assert.equal((await sendRaw(url, "GET / HTTP/1.1\r\nHost: a\r\nX: ", trusting)).status, 408);
    assert.equal((await sendRaw(url, "", trusting)).status, 408);
    const large = requestText("GET /", `X: ${"x".repeat(3000)}`);
    assert.equal((await sendRaw(url, large, trusting)).status, 431);
    const idle = await sendRaw(url, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", trusting);
    assert.equal(idle.rest, "hello");
  }));

test("an unfinished handshake times out, and does not delay closing", () =>
  listening({ headers: 500 }, async (url) => {
    assert.equal((await sendRaw(url, "")).status, 0);
    assert.equal((await sendRaw(url, requestText("GET /"), trusting)).status, 200);
    connect(Number(new URL(url).port), "127.0.0.1").on("error", () => {}).unref();
  }));

test("unfinished handshakes make room for new connections", () =>
  listening({ connections: 2 }, async (url) => {
    const sockets = Array.from(
      { length: 5 },
      () => connect(Number(new URL(url).port), "127.0.0.1"),
    );
    for (const socket of sockets) socket.on("error", () => {}).resume();
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    assert.equal((await sendRaw(url, requestText("GET /"), trusting)).status, 200);
    for (const socket of sockets) socket.destroy();
  }));

test("unusable files are refused at the start", async () => {
  const action = () => Promise.resolve();
  const { certificate, key } = server;
  await assert.rejects(withEndpoint({ certificate, key: client.key }, action), /the key is not/);
  await assert.rejects(withEndpoint({ certificate: key, key }, action), /no certificate in PEM/);
  await assert.rejects(withEndpoint({ certificate, key: `${key}?` }, action), { code: "ENOENT" });
});

/** Events that deliver no request and no connection, at least with our options, and why. */
const HARMLESS: Readonly<Record<string, string>> = {
  close: "the server's own",
  listening: "the server's own",
  error: "startListener has a listener",
  drop: "maxConnections is not set, and a dropped connection is closed",
  dropRequest: "maxRequestsPerSocket is not set",
  upgrade: "without a listener the request is a plain one",
  keylog: "TLS secrets, for debugging",
  newSession: "the session store that is not used",
  resumeSession: "the session store that is not used",
  OCSPRequest: "OCSP stapling that is not used",
};

test("every event that delivers a request or connection has a listener", () => {
  const folder = new URL("../../runtimes/node_modules/@types/node/", import.meta.url);
  const events = new Set(["http", "https", "net", "tls"].flatMap((module) => {
    const types = readFileSync(new URL(`${module}.d.ts`, folder), "utf8");
    const servers = types.match(/\n {4}(?:class|interface) Server\b[^]*?\n {4}\}/g) ?? [];
    assert.notEqual(servers.length, 0, module);
    return servers.flatMap((text) => [...text.matchAll(/\bon\(\s*event: "(\w+)"/g)])
      .map(([, event]) => event!);
  }));
  assert.ok(events.has("request") && events.has("upgrade") && events.has("newSession"));
  const certificates = watchServerCertificates(server, undefined, { info() {}, warn() {} }).value;
  const connections = new Connections(LISTENER_LIMITS);
  const limited = createLimitedServer(() => {}, connections, certificates, LISTENER_LIMITS);
  const unhandled = [...events].filter((event) => limited.listenerCount(event) === 0);
  assert.deepEqual(unhandled.filter((event) => HARMLESS[event] === undefined), []);
  assert.deepEqual(Object.keys(HARMLESS).filter((event) => !events.has(event)), []);
});
