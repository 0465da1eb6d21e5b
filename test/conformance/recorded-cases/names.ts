/**
 * Cases about method names, health checks and targets.
 *
 * @module
 */
import type * as grpc from "@grpc/grpc-js";
import { HealthImplementation, service as healthService } from "grpc-health-check";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { echoService, statusName } from "../../support/echo.ts";
import { bidi, statusOf, unary } from "../calls.ts";
import { echo, LOCALHOST } from "../case.ts";
import type { Cases, Difference, ReproducedCase } from "../case.ts";
import type { ClientSettings, Harness } from "../harness.ts";

function path(path: string, client: ClientSettings = {}): ReproducedCase {
  return {
    async run(harness) {
      return await unary((await harness.pair({ client })).client, { path });
    },
  };
}

function onBareServer(path: string, client: ClientSettings, host = "127.0.0.1"): ReproducedCase {
  return {
    async run(harness) {
      const { port } = await harness.server({ recorded: false });
      return await unary(harness.client(`${host}:${port}`, client), { path });
    },
  };
}

const UNARY = "/grpc.examples.echo.Echo/UnaryEcho";

/** Makes a unary call to a target that contains the server's port. */
function target(of: (port: number) => string): ReproducedCase {
  return {
    async run(harness) {
      const { port } = await harness.server({ address: "[::]:0" });
      return await unary(harness.client(of(port)));
    },
  };
}

/** Makes a unary call over a Unix socket to a target that contains its path. */
function unix(of: (path: string) => string): ReproducedCase {
  return {
    async run(harness) {
      const folder = mkdtempSync(join(tmpdir(), "conformance-"));
      try {
        const socket = join(folder, "s.sock");
        await harness.server({ address: `unix:${socket}` });
        harness.rename(socket, "/run/s.sock");
        return await unary(harness.client(of(socket)));
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  };
}

async function check(harness: Harness, service?: string): Promise<string> {
  const health = new HealthImplementation({ "": "SERVING" });
  const { client } = await harness.pair({
    server: { prepare: (server) => health.addToServer(server) },
  });
  const { path, requestSerialize, responseDeserialize } = healthService["Check"]!;
  return await new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      requestSerialize as (request: object) => Buffer,
      responseDeserialize,
      service === undefined ? {} : { service },
      (error) => resolve(statusName(error?.code ?? 0)),
    );
  });
}

function unresolved(reason: string, label: string): Difference {
  return {
    reason,
    caller: "UNAVAILABLE",
    client: [echo("UnaryEcho", 1, { UNAVAILABLE: { attempts: 1, calls: 1 } }, label)],
    server: [],
  };
}

const ownName = "A client records the names of all methods, because they come from the program " +
  "itself. grpc-go records `other` for calls without a generated stub.";
const serverKeepsCount =
  "A server records calls of unregistered methods as `other` in all four metrics. " +
  "grpc-go only counts them as started.";
const unimplementedOther = [echo("other", 1, { UNIMPLEMENTED: { calls: 1 } })];

export const NAMES: Cases = {
  "invoke-registered-non-static": {
    ...path(UNARY),
    differs: {
      reason: ownName,
      client: [echo("UnaryEcho", 1, {
        OK: { attempts: 1, calls: 1, sent_bytes: 7, rcvd_bytes: 7 },
      }, LOCALHOST)],
    },
  },
  "invoke-registered-static": path(UNARY),
  "invoke-unknown-service-non-static": {
    ...path("/foo.Bar/Nope"),
    differs: {
      reason: `${ownName} ${serverKeepsCount}`,
      client: [echo("foo.Bar/Nope", 1, {
        UNIMPLEMENTED: { attempts: 1, calls: 1, sent_bytes: 7 },
      }, LOCALHOST)],
      server: unimplementedOther,
    },
  },
  "invoke-unknown-method-static": {
    ...path("/grpc.examples.echo.Echo/Nope"),
    differs: { reason: serverKeepsCount, server: unimplementedOther },
  },
  "invoke-malformed-no-slash": {
    ...path("noslash"),
    differs: {
      reason:
        "Node's HTTP/2 resets a stream whose path has no slash before a grpc-js server sees it, " +
        "which is INTERNAL for the client. A malformed path that it accepts is recorded as `other`.",
      caller: "INTERNAL",
      client: [{
        ...echo("", 1, { INTERNAL: { attempts: 1, calls: 1, sent_bytes: 7 } }, LOCALHOST),
        "grpc.method": "noslash",
      }],
    },
  },
  "newstream-registered-non-static": {
    async run(harness) {
      const { client } = await harness.pair();
      const stream = bidi(client);
      stream.end();
      return await statusOf(stream);
    },
    differs: {
      reason: ownName,
      client: [echo("BidirectionalStreamingEcho", 1, { OK: { attempts: 1, calls: 1 } }, LOCALHOST)],
    },
  },
  "static-method-as-default-call-option": path(UNARY),
  "filter-accepts": onBareServer(UNARY, {
    plugin: { methodAttributeFilter: () => true },
  }),
  "filter-accepts-unregistered": onBareServer("/allowed.Svc/M", {
    plugin: {
      methodAttributeFilter: (method) => method.startsWith("allowed."),
    },
  }),
  "unknown-service-handler": {
    async run(harness) {
      const {
        requestSerialize,
        requestDeserialize,
        responseSerialize,
        responseDeserialize,
      } = echoService["UnaryEcho"]!;
      const { port } = await harness.server({
        recorded: false,
        prepare: (server) =>
          server.addService({
            Baz: {
              path: "/foo.Bar/Baz",
              requestStream: false,
              responseStream: false,
              requestSerialize,
              requestDeserialize,
              responseSerialize,
              responseDeserialize,
            },
          }, {
            Baz: (_call: unknown, reply: grpc.sendUnaryData<object>) =>
              reply(null, { message: "x".repeat(20) }),
          }),
      });
      return await unary(harness.client(`127.0.0.1:${port}`), {
        path: "/foo.Bar/Baz",
      });
    },
  },

  "health-check-serving": { run: (harness) => check(harness) },
  "health-check-unknown-service": { run: (harness) => check(harness, "nope") },
  "client-side-health-checking": {
    async run(harness) {
      const health = new HealthImplementation({ "": "SERVING" });
      const { port } = await harness.server({
        prepare: (server) => health.addToServer(server),
      });
      const client = harness.client(`127.0.0.1:${port}`, {
        options: {
          "grpc.service_config": JSON.stringify({
            loadBalancingConfig: [{ round_robin: {} }],
            methodConfig: [],
            healthCheckConfig: { serviceName: "" },
          }),
        },
      });
      return await unary(client);
    },
    differs: {
      reason: "grpc-js has no client-side health checking (gRFC A17) and never calls `Watch`.",
      server: [
        echo("UnaryEcho", 1, {
          OK: { calls: 1, sent_bytes: 7, rcvd_bytes: 7 },
        }),
      ],
    },
  },

  "target 127.0.0.1:50051": target((port) => `127.0.0.1:${port}`),
  "target :50051": {
    async run(harness) {
      const { port } = await harness.server();
      const client = harness.client(`:${port}`);
      return await unary(client, { options: { deadline: Date.now() + 500 } });
    },
    differs: {
      reason:
        "A grpc-js client resolves an empty host to no address, and waits for one until the " +
        "call's deadline.",
      caller: "DEADLINE_EXCEEDED",
      client: [
        echo(
          "UnaryEcho",
          0,
          { DEADLINE_EXCEEDED: { calls: 1 } },
          "dns:///:50051",
        ),
      ],
      server: [],
    },
  },
  "target dns:localhost:50051": target((port) => `dns:localhost:${port}`),
  "target dns:///localhost:50051": target((port) => `dns:///localhost:${port}`),
  "target passthrough:///127.0.0.1:50051": {
    ...target((port) => `passthrough:///127.0.0.1:${port}`),
    differs: unresolved(
      "grpc-js has no `passthrough` scheme and treats such a target as a DNS name, which " +
        "does not resolve. The label is the same as in grpc-go, so that programs in both " +
        "languages share it.",
      "passthrough:///127.0.0.1:50051",
    ),
  },
  "target unix:/run/s.sock": unix((path) => `unix:${path}`),
  "target unix:///run/s.sock": unix((path) => `unix://${path}`),
  "target DNS:///localhost:50051": {
    ...target((port) => `DNS:///localhost:${port}`),
    differs: unresolved(
      "grpc-js supports schemes in lower case only and treats such a target as a DNS name, " +
        "which does not resolve. The label is the same as in grpc-go.",
      LOCALHOST,
    ),
  },
  "target nosuchscheme:///localhost:50051": target((port) => `nosuchscheme:///localhost:${port}`),
};
