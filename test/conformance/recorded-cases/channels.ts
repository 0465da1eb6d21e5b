/**
 * Cases about channels: connections, load balancing and xDS. Only their series of gRFC A66 are
 * compared here. A resolver stands in for the xDS client, which is in another package.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { unary } from "../calls.ts";
import type { Cases, ReproducedCase } from "../case.ts";
import { eventually } from "../../support/eventually.ts";
import { CertificateAuthority } from "../../support/certificates.ts";
import { freePort } from "../../support/ports.ts";
import { resolveTo } from "../resolver.ts";
import type { Resolution } from "../resolver.ts";
import { connected } from "../harness.ts";
import type { Harness, RunningServer } from "../harness.ts";

type LoadBalancingConfig = grpc.ServiceConfig["loadBalancingConfig"][number];

const ROUND_ROBIN = { round_robin: {} } as unknown as LoadBalancingConfig;

const INTERVAL_SECONDS = 2;

/** Ejects a backend whose calls fail at the end of each interval. */
const OUTLIER_DETECTION = {
  outlier_detection: {
    interval: { seconds: INTERVAL_SECONDS, nanos: 0 },
    base_ejection_time: { seconds: 600, nanos: 0 },
    max_ejection_percent: 50,
    failure_percentage_ejection: {
      threshold: 50,
      minimum_hosts: 3,
      request_volume: 5,
    },
    child_policy: [{ round_robin: {} }],
  },
} as unknown as LoadBalancingConfig;

/** Makes a call, and then ends its connection. */
function afterCall(
  end: (harness: Harness, client: grpc.Client, server: RunningServer) => void | Promise<void>,
  options: grpc.ClientOptions = {},
): ReproducedCase {
  return {
    async run(harness) {
      const server = await harness.server({ recorded: false });
      const client = harness.client(`127.0.0.1:${server.port}`, { options });
      const saw = await unary(client);
      await end(harness, client, server);
      return saw;
    },
  };
}

function lost(client: grpc.Client): Promise<void> {
  return eventually(() => {
    const state = client.getChannel().getConnectivityState(false);
    if (state === grpc.connectivityState.READY) {
      throw new Error("the channel is still connected");
    }
  }, 30_000);
}

/** Makes a call to an xDS target that resolves as planned. */
function xds(name: string, resolution: (port: number) => Resolution): ReproducedCase {
  return {
    differs: {
      reason:
        "grpc-js has xDS in a separate package, @grpc/grpc-js-xds. The conformance suite compares " +
        "the series of these calls with a resolver that stands in for it",
    },
    async run(harness) {
      const { port } = await harness.server();
      resolveTo("xds", name, resolution(port));
      return await unary(harness.client(`xds:///${name}`), {
        options: { deadline: Date.now() + 2000 },
      });
    },
  };
}

export const CHANNELS: Cases = {
  "subchannel-client-close": afterCall((_stage, client) => client.close()),
  "subchannel-server-stop": afterCall((_stage, client, { server }) => {
    server.forceShutdown();
    return lost(client);
  }),
  "subchannel-goaway-enhance-your-calm": {
    async run(harness) {
      const port = await harness.raw("ok");
      const client = harness.client(`127.0.0.1:${port}`);
      const saw = await unary(client);
      await harness.calm();
      await lost(client);
      return saw;
    },
  },
  "subchannel-idle-timeout": afterCall((_stage, client) => lost(client), {
    "grpc.client_idle_timeout_ms": 1000,
  }),
  "subchannel-tls": {
    async run(harness) {
      const authority = await CertificateAuthority.create(harness.owner, "conformance");
      const { certificate, key } = await authority.issue("server");
      const root = readFileSync(authority.certificate);
      const { port } = await harness.server({
        recorded: false,
        credentials: grpc.ServerCredentials.createSsl(root, [{
          private_key: readFileSync(key),
          cert_chain: readFileSync(certificate),
        }]),
      });
      return await unary(
        harness.client(`127.0.0.1:${port}`, {
          credentials: grpc.credentials.createSsl(root),
          options: { "grpc.ssl_target_name_override": "localhost" },
        }),
      );
    },
  },
  "subchannel-round-robin-2-backends-1-dead": {
    async run(harness) {
      const { port } = await harness.server({ recorded: false });
      resolveTo("man", "two", {
        ports: [port, await freePort()],
        serviceConfig: { loadBalancingConfig: [ROUND_ROBIN], methodConfig: [] },
      });
      const client = harness.client("man:///two");
      await connected(client);
      return await unary(client);
    },
  },
  "outlier-detection-1-of-3-failing": {
    async run(harness) {
      const backends = await Promise.all([1, 2, 3].map(() => harness.server({ recorded: false })));
      const broken = backends[2]!;
      broken.server.unregister("/grpc.examples.echo.Echo/UnaryEcho");
      broken.server.register(
        "/grpc.examples.echo.Echo/UnaryEcho",
        (_call: unknown, reply: grpc.sendUnaryData<object>) =>
          reply({ code: grpc.status.UNAVAILABLE }),
        (reply: object) => Buffer.from(JSON.stringify(reply)),
        (request: Buffer) => request,
        "unary",
      );
      resolveTo("man", "od", {
        ports: backends.map(({ port }) => port),
        serviceConfig: {
          loadBalancingConfig: [OUTLIER_DETECTION],
          methodConfig: [],
        },
      });
      const client = harness.client("man:///od");
      await connected(client);
      const saw = new Map<string, number>();
      const call = async () => {
        const status = await unary(client);
        saw.set(status, (saw.get(status) ?? 0) + 1);
      };
      while ((saw.get("UNAVAILABLE") ?? 0) < 10) await call();
      // The backend that failed is ejected at the end of the next interval.
      await delay(INTERVAL_SECONDS * 1000 + 500);
      while ((saw.get("OK") ?? 0) < 126) await call();
      const ok = saw.get("OK");
      return `${ok} OK, ${saw.get("UNAVAILABLE")} failed`;
    },
  },

  "xds-good": xds("good", (port) => ({ ports: [port] })),
  "xds-bad-listener": xds("bad", () => ({ error: "listener resource error" })),
  "xds-listener-missing": xds("absent", () => "never"),
  "xds-management-server-stops": xds("good", (port) => ({ ports: [port] })),
};
