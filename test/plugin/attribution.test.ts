/** Whose context, baggage and custom label a call has: those of the caller, on both sides. */
import * as grpc from "@grpc/grpc-js";
import { context, propagation, ROOT_CONTEXT } from "@opentelemetry/api";
import type { Attributes, Context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CBaggagePropagator } from "@opentelemetry/core";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { GrpcOpenTelemetry, withCustomLabel } from "../../plugin/mod.ts";
import type { GrpcOpenTelemetryOptions } from "../../plugin/mod.ts";
import { currentCustomLabel } from "../../plugin/client/custom-label.ts";
import { METRIC_NAMES } from "../../plugin/metrics/definitions.ts";
import { echoClient, echoHandlers, echoService, listen, unary } from "../support/echo.ts";
import type { EchoClient, EchoMessage } from "../support/echo.ts";
import { eventually } from "../support/eventually.ts";
import { retrying } from "../support/retrying.ts";
import { Recording } from "../support/series.ts";
import { SpanRecording } from "../support/spans.ts";

before(() => context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
after(() => context.disable());

const TENANTS = ["a", "b", "c"];

/** A view that adds the tenant in the baggage as a label. */
const TENANT_VIEW = {
  instrumentName: "grpc.*",
  attributesProcessors: [{
    process: (attributes: Attributes, of?: Context) => ({
      ...attributes,
      tenant: of === undefined ? "no context" : tenantOf(of),
    }),
  }],
};

function tenantOf(of: Context): string {
  return propagation.getBaggage(of)?.getEntry("tenant")?.value ?? "none";
}

/** What belongs to the code that is running, such as `a, label a`. */
function owner(): string {
  return `${tenantOf(context.active())}, label ${currentCustomLabel() || "none"}`;
}

/** Runs `body` as a tenant: with its baggage and custom label. */
function as<T>(tenant: string, body: () => T): T {
  const baggage = propagation.createBaggage({ tenant: { value: tenant } });
  const of = propagation.setBaggage(ROOT_CONTEXT, baggage);
  return withCustomLabel(tenant, () => context.with(of, body));
}

interface Setting {
  readonly plugin?: GrpcOpenTelemetryOptions;
  readonly client?: grpc.ClientOptions;
  readonly handlers?: grpc.UntypedServiceImplementation;
}

/** Runs `body` with an instrumented pair that the tenant `startup` created. */
async function withPair(
  { plugin, client: options, handlers }: Setting,
  body: (client: EchoClient, recording: Recording) => Promise<void>,
): Promise<void> {
  const recording = new Recording([TENANT_VIEW]);
  const otel = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider, ...plugin });
  const server = otel.instrumentServer(new grpc.Server());
  server.addService(echoService, { ...echoHandlers, ...handlers });
  const port = await as("startup", () => listen(server));
  const client = echoClient(`localhost:${port}`, otel.clientOptions(options));
  try {
    await body(client, recording);
  } finally {
    client.close();
    server.forceShutdown();
  }
}

/** Returns the counts of a metric by tenant, such as `a 1, b 1`. */
async function byTenant(recording: Recording, name: string): Promise<string> {
  const metric = (await recording.metrics()).find(({ descriptor }) => descriptor.name === name);
  const counts = new Map<unknown, number>();
  for (const { attributes: { tenant }, value } of metric?.dataPoints ?? []) {
    const count = typeof value === "number" ? value : (value as { count: number }).count;
    counts.set(tenant, (counts.get(tenant) ?? 0) + count);
  }
  return [...counts].map(([tenant, count]) => `${tenant} ${count}`).sort().join(", ");
}

const RETRY_ONCE = retrying(2);

const CLIENT_METRICS = METRIC_NAMES.filter((name) =>
  /^grpc\.client\.(attempt|call\.duration)/.test(name) && !name.includes("delay")
);
const SERVER_METRICS = METRIC_NAMES.filter((name) => name.startsWith("grpc.server.call."));
const CONNECTIONS = /^grpc\.(subchannel|tcp)\./;
const DELAY_METRICS = METRIC_NAMES.filter((name) => name.endsWith(".delay.duration"));
const RETRY_METRICS = ["grpc.client.call.retries", "grpc.client.call.retry_delay"];

for (
  const [what, tracing] of [
    ["a tracer", () => ({ tracerProvider: new SpanRecording().tracerProvider })],
    ["no tracer", () => ({})],
  ] as const
) {
  test(`with ${what}, a view sees the baggage of the caller on both sides`, () =>
    withPair(
      {
        plugin: {
          ...tracing(),
          textMapPropagator: new W3CBaggagePropagator(),
          enableMetrics: [...RETRY_METRICS, ...DELAY_METRICS],
        },
        client: RETRY_ONCE,
      },
      async (client, recording) => {
        const call = (tenant: string) => as(tenant, () => unary(client, "status 14"));
        // All wait for the same name resolution and connection, and each is retried.
        await Promise.all(TENANTS.map(call));
        await eventually(async () => {
          const once = ["grpc.client.call.duration", ...RETRY_METRICS, ...DELAY_METRICS];
          for (const name of [...CLIENT_METRICS, ...SERVER_METRICS, ...once]) {
            const perCall = once.includes(name);
            const count = perCall ? 1 : 2;
            assert.equal(
              await byTenant(recording, name),
              TENANTS.map((tenant) => `${tenant} ${count}`).join(", "),
              name,
            );
          }
        });
      },
    ));
}

test("a connection has the baggage of the call that opened it, until it ends", async () => {
  const recording = new Recording([TENANT_VIEW]);
  const otel = new GrpcOpenTelemetry({
    meterProvider: recording.meterProvider,
    enableMetrics: METRIC_NAMES.filter((name) => CONNECTIONS.test(name)),
  });
  const server = new grpc.Server();
  server.addService(echoService, echoHandlers);
  const port = await listen(server);
  const client = echoClient(`127.0.0.1:${port}`, otel.clientOptions());
  await as("a", () => unary(client, "hello"));
  await as("b", () => unary(client, "hello"));
  const series = async () =>
    Object.entries(await recording.series())
      .filter(([name]) => CONNECTIONS.test(name)).sort();
  assert.deepEqual(await series(), [
    ["grpc.subchannel.connection_attempts_succeeded{tenant=a}", "1"],
    ["grpc.subchannel.open_connections{tenant=a}", "1"],
    ["grpc.tcp.connection_count{tenant=a}", "1"],
    ["grpc.tcp.connections_created{tenant=a}", "1"],
  ]);
  as("c", () => server.forceShutdown());
  await eventually(async () =>
    assert.deepEqual(await series(), [
      ["grpc.subchannel.connection_attempts_succeeded{tenant=a}", "1"],
      ["grpc.subchannel.disconnections{tenant=a}", "1"],
      ["grpc.subchannel.open_connections{tenant=a}", "0"],
      ["grpc.tcp.connection_count{tenant=a}", "0"],
      ["grpc.tcp.connections_created{tenant=a}", "1"],
    ])
  );
  client.close();
});

test("without a propagator, a server's calls have no baggage", () =>
  withPair({}, async (client, recording) => {
    await as("a", () => unary(client, "hello"));
    await eventually(async () => {
      for (const name of SERVER_METRICS) {
        assert.equal(await byTenant(recording, name), "none 1", name);
      }
    });
  }));

/** Calls every method, and notes the owner in each callback and event. */
async function callEverything(client: EchoClient): Promise<Record<string, string>> {
  const seen: Record<string, string> = {};
  const note = (where: string) => () => void (seen[where] = owner());
  const listen = (name: string, events: readonly string[], stream: NodeJS.EventEmitter) => {
    for (const event of events) stream.on(event, note(`${name} ${event}`));
    return new Promise((resolve) => stream.on("status", resolve));
  };
  const unaryEnded = new Promise((resolve) => {
    const call = client.UnaryEcho({ message: "x" }, {}, () => {
      note("unary callback")();
      // A follow-up is made by the callback's owner.
      client.UnaryEcho({ message: "x" }, {}, () => {
        note("follow-up callback")();
        resolve(undefined);
      });
    });
    listen("unary", ["metadata", "status"], call);
  });
  const reading = ["metadata", "data", "end", "status"];
  const serverStream = listen(
    "server stream",
    reading,
    client.ServerStreamingEcho({ message: "x" }),
  );
  const clientCall = client.ClientStreamingEcho(note("client stream callback"));
  const clientStream = listen("client stream", ["metadata", "finish", "status"], clientCall);
  // Larger than the flow control window, so that writes wait for the connection.
  for (let i = 0; i < 3; i++) {
    clientCall.write({ message: "x".repeat(300_000) }, note(`client stream written ${i}`));
  }
  clientCall.end();
  const bidiCall = client.BidirectionalStreamingEcho();
  const bidi = listen("bidi", reading, bidiCall);
  bidiCall.write({ message: "x" }, note("bidi written"));
  bidiCall.end();
  const cancelled = client.ServerStreamingEcho({ message: "x" });
  const failed = listen("cancelled", ["error"], cancelled);
  cancelled.cancel();
  const late = new Promise((resolve) => {
    client.UnaryEcho({ message: "hang" }, { deadline: Date.now() + 300 }, () => {
      note("deadline callback")();
      resolve(undefined);
    });
  });
  await Promise.all([unaryEnded, serverStream, clientStream, bidi, failed, late]);
  note("after await")();
  return seen;
}

for (
  const [what, plugin] of [
    ["a tracer", { tracerProvider: new SpanRecording().tracerProvider }],
    ["a custom label", { optionalLabels: ["grpc.client.call.custom"] }],
    ["a view that reads the context", {}],
  ] as const
) {
  test(`with ${what}, callbacks and events run in the context of the caller`, () =>
    withPair({ plugin }, async (client) => {
      // First on a channel that is not connected, then on a connection that a tenant opened.
      for (let round = 0; round < 2; round++) {
        const seen = await Promise.all(
          TENANTS.map((tenant) => as(tenant, () => callEverything(client))),
        );
        for (const [i, tenant] of TENANTS.entries()) {
          assert.equal(Object.keys(seen[i]!).length, 23);
          for (const [where, whose] of Object.entries(seen[i]!)) {
            assert.equal(whose, `${tenant}, label ${tenant}`, where);
          }
        }
      }
    }));
}

test("interceptors and call credentials run in the context of the caller", () => {
  const seen = new Map<string, string[]>();
  const note = (where: string) => seen.set(where, [...seen.get(where) ?? [], owner()].sort());
  const interceptor: grpc.Interceptor = (options, nextCall) =>
    new grpc.InterceptingCall(nextCall(options), {
      start(metadata, _, next) {
        next(metadata, {
          onReceiveMetadata: (received, next) => {
            note("metadata");
            next(received);
          },
          onReceiveMessage: (message, next) => {
            note("message");
            next(message);
          },
          onReceiveStatus: (status, next) => {
            note("status");
            next(status);
          },
        });
      },
    });
  const credentials = grpc.credentials.createFromMetadataGenerator((_, done) => {
    note("credentials");
    done(null, new grpc.Metadata());
  });
  const client = { ...RETRY_ONCE, interceptors: [interceptor] };
  const handlers = {
    UnaryEcho(
      call: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
      reply: grpc.sendUnaryData<EchoMessage>,
    ) {
      const isRetry = call.metadata.get("grpc-previous-rpc-attempts").length > 0;
      if (isRetry) reply(null, call.request);
      else reply({ code: grpc.status.UNAVAILABLE, details: "not yet" });
    },
  };
  return withPair({ client, handlers }, async (client) => {
    await Promise.all(
      TENANTS.map((tenant) => as(tenant, () => unary(client, "hello", { credentials }))),
    );
    const everyone = TENANTS.map((tenant) => `${tenant}, label ${tenant}`);
    assert.deepEqual(Object.fromEntries(seen), {
      credentials: [...everyone, ...everyone].sort(),
      metadata: everyone,
      message: everyone,
      status: everyone,
    });
  });
});

test("a call that waits for a server that is down belongs to its caller", async () => {
  const recording = new Recording([TENANT_VIEW]);
  const otel = new GrpcOpenTelemetry({
    meterProvider: recording.meterProvider,
    optionalLabels: ["grpc.client.call.custom"],
  });
  const first = new grpc.Server();
  first.addService(echoService, echoHandlers);
  const port = await listen(first);
  const client = echoClient(
    `127.0.0.1:${port}`,
    otel.clientOptions({
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 100,
    }),
  );
  await as("before", () => unary(client, "hello"));
  first.forceShutdown();
  const channel = client.getChannel();
  await eventually(() =>
    assert.notEqual(channel.getConnectivityState(false), grpc.connectivityState.READY)
  );
  const metadata = new grpc.Metadata({ waitForReady: true });
  const callbacks: string[] = [];
  const calls = TENANTS.map((tenant) =>
    as(tenant, () =>
      new Promise((resolve) => {
        client.makeUnaryRequest(
          "/grpc.examples.echo.Echo/UnaryEcho",
          (message: EchoMessage) => echoService.UnaryEcho!.requestSerialize(message),
          (bytes) => bytes,
          { message: "hello" },
          metadata,
          (error) => {
            callbacks.push(`${error?.code ?? "OK"} ${owner()}`);
            resolve(undefined);
          },
        );
      }))
  );
  const second = new grpc.Server();
  second.addService(echoService, echoHandlers);
  await new Promise((resolve) => {
    second.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), resolve);
  });
  try {
    await Promise.all(calls);
    assert.deepEqual(callbacks.sort(), TENANTS.map((tenant) => `OK ${tenant}, label ${tenant}`));
    for (const name of CLIENT_METRICS) {
      assert.equal(await byTenant(recording, name), "a 1, b 1, before 1, c 1", name);
    }
  } finally {
    client.close();
    second.forceShutdown();
  }
});

for (
  const [what, plugin, expected] of [
    ["without a propagator", {}, "none, label none"],
    [
      "with a propagator and no tracer",
      { textMapPropagator: new W3CBaggagePropagator() },
      "a, label none",
    ],
    [
      "with a tracer",
      {
        tracerProvider: new SpanRecording().tracerProvider,
        textMapPropagator: new W3CBaggagePropagator(),
      },
      "a, label none",
    ],
  ] as const
) {
  test(`${what}, handlers run in the context that the client sent`, () => {
    const seen: Record<string, string> = {};
    const handlers = Object.fromEntries(
      Object.entries(echoHandlers).map(([method, handler]) => [
        method,
        (call: NodeJS.EventEmitter, reply: unknown) => {
          seen[method] = owner();
          if (/ClientStreaming|Bidi/.test(method)) {
            for (const event of ["data", "end"]) {
              call.on(event, () => seen[`${method} ${event}`] = owner());
            }
          }
          call.on("cancelled", () => seen[`${method} cancelled`] = owner());
          (handler as (call: unknown, reply: unknown) => void)(call, reply);
        },
      ]),
    ) as grpc.UntypedServiceImplementation;
    return withPair({ plugin, handlers }, async (client) => {
      await as("a", () => callEverything(client));
      await eventually(() => assert.ok(seen["UnaryEcho cancelled"]));
      assert.ok(Object.keys(seen).length >= 8);
      for (const [where, whose] of Object.entries(seen)) assert.equal(whose, expected, where);
    });
  });
}
