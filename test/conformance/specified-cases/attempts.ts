/**
 * Cases about attempts without a connection, retries, hedges and early cancellations.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { freePort } from "../../support/ports.ts";
import { eventually } from "../../support/eventually.ts";
import { clientStream, messageOf, unary } from "../calls.ts";
import { echo, LOCALHOST } from "../case.ts";
import type { Harness } from "../harness.ts";
import { oneAttempt, oneCall } from "./specified-case.ts";
import type { SpecifiedCases } from "./specified-case.ts";

function serviceConfig(methodPolicy: object, rest: object = {}): grpc.ClientOptions {
  const methodConfig = [{ name: [{}], ...methodPolicy }];
  return {
    "grpc.service_config": JSON.stringify({
      loadBalancingConfig: [],
      methodConfig,
      ...rest,
    }),
  };
}

const retryPolicy = {
  maxAttempts: 4,
  initialBackoff: "0.001s",
  maxBackoff: "0.001s",
  backoffMultiplier: 1,
  retryableStatusCodes: ["UNAVAILABLE"],
};
const retrying = serviceConfig({ retryPolicy });

function credentials(generate: Parameters<typeof grpc.credentials.createFromMetadataGenerator>[0]) {
  return grpc.credentials.createFromMetadataGenerator(generate);
}

async function withCredentials(
  harness: Harness,
  generate: Parameters<typeof credentials>[0],
  deadline = Infinity,
): Promise<string> {
  const { client } = await harness.pair();
  return await unary(client, {
    options: { credentials: credentials(generate), deadline },
  });
}

function serversSaw(harness: Harness, calls: number): Promise<void> {
  return eventually(async () => {
    const [series] = await harness.gained("server");
    if (series?.started !== calls) {
      throw new Error(`${series?.started} calls reached the server`);
    }
  }, 30_000);
}

export const ATTEMPTS: SpecifiedCases = {
  "a call that waits for a server is one attempt": {
    async run(harness) {
      const port = await freePort();
      const client = harness.client(`localhost:${port}`, {
        options: {
          "grpc.initial_reconnect_backoff_ms": 20,
          "grpc.max_reconnect_backoff_ms": 20,
        },
      });
      const saw = unary(client, { waitForReady: true });
      await eventually(() => {
        const state = client.getChannel().getConnectivityState(false);
        if (state !== grpc.connectivityState.TRANSIENT_FAILURE) {
          throw new Error(`state ${state}`);
        }
      });
      await harness.server({ address: `127.0.0.1:${port}` });
      return await saw;
    },
    outcome: {
      saw: "OK",
      client: oneAttempt("UnaryEcho", "OK", { sent: 7, received: 7 }),
      server: [oneCall("UnaryEcho", "OK", { sent: 7, received: 7 })],
    },
  },
  "a call that waits for a missing server ends at its deadline": {
    run: async (harness) =>
      unary(harness.client(`localhost:${await freePort()}`), {
        waitForReady: true,
        options: { deadline: Date.now() + 300 },
      }),
    outcome: {
      saw: "DEADLINE_EXCEEDED",
      client: oneAttempt("UnaryEcho", "DEADLINE_EXCEEDED"),
      server: [[]],
    },
  },
  "a waiting call ends when the channel is closed": {
    async run(harness) {
      const client = harness.client(`localhost:${await freePort()}`);
      const saw = unary(client, { waitForReady: true });
      await eventually(async () => {
        if ((await harness.gained("client")).length === 0) {
          throw new Error("no attempt yet");
        }
      });
      client.close();
      return await saw;
    },
    outcome: {
      saw: "UNAVAILABLE",
      client: oneAttempt("UnaryEcho", "UNAVAILABLE"),
      server: [[]],
    },
  },
  "call credentials that fail": {
    run: (harness) =>
      withCredentials(
        harness,
        (_options, done) =>
          done(
            Object.assign(new Error("planned"), {
              code: grpc.status.UNAUTHENTICATED,
            }),
          ),
      ),
    outcome: {
      saw: "UNAUTHENTICATED",
      client: oneAttempt("UnaryEcho", "UNAUTHENTICATED"),
      server: [[]],
    },
  },
  "call credentials that never arrive": {
    run: (harness) => withCredentials(harness, () => {}, Date.now() + 300),
    outcome: {
      saw: "DEADLINE_EXCEEDED",
      client: oneAttempt("UnaryEcho", "DEADLINE_EXCEEDED"),
      server: [[]],
    },
  },
  "each hedge of a cancelled call ends": {
    async run(harness) {
      const hedgingPolicy = {
        maxAttempts: 3,
        hedgingDelay: "0.01s",
        nonFatalStatusCodes: [],
      };
      const { client } = await harness.pair({
        client: { options: serviceConfig({ hedgingPolicy }) },
      });
      return await unary(client, {
        bytes: 12,
        plan: { hang: true },
        made: (call) => void serversSaw(harness, 3).then(() => call.cancel()),
      });
    },
    outcome: {
      saw: "CANCELLED",
      client: [
        echo("UnaryEcho", 3, {
          CANCELLED: { attempts: 3, calls: 1, sent_bytes: 36 },
        }, LOCALHOST),
      ],
      server: [[echo("UnaryEcho", 3, { CANCELLED: { calls: 3, rcvd_bytes: 36 } })]],
    },
  },
  "hedges after failures": {
    async run(harness) {
      const hedgingPolicy = {
        maxAttempts: 3,
        hedgingDelay: "60s",
        nonFatalStatusCodes: ["UNAVAILABLE"],
      };
      const { client } = await harness.pair({
        client: { options: serviceConfig({ hedgingPolicy }) },
      });
      return await unary(client, { bytes: 12, plan: { failAttempts: 2 } });
    },
    outcome: {
      saw: "OK",
      client: [echo("UnaryEcho", 3, {
        OK: { attempts: 1, calls: 1, sent_bytes: 12, rcvd_bytes: 12 },
        UNAVAILABLE: { attempts: 2, sent_bytes: 24 },
      }, LOCALHOST)],
      server: [[echo("UnaryEcho", 3, {
        OK: { calls: 1, sent_bytes: 12, rcvd_bytes: 12 },
        UNAVAILABLE: { calls: 2, rcvd_bytes: 24 },
      })]],
    },
  },
  "a throttled retry is not an attempt": {
    async run(harness) {
      const retryThrottling = { maxTokens: 2, tokenRatio: 0.1 };
      const { client } = await harness.pair({
        client: {
          options: serviceConfig({ retryPolicy }, { retryThrottling }),
        },
      });
      return await unary(client, { bytes: 12, plan: { failAttempts: 9 } });
    },
    outcome: {
      saw: "UNAVAILABLE",
      client: oneAttempt("UnaryEcho", "UNAVAILABLE", { sent: 12 }),
      server: [oneCall("UnaryEcho", "UNAVAILABLE", { received: 12 })],
    },
  },
  "a retry sends all messages again": {
    async run(harness) {
      const { client } = await harness.pair({ client: { options: retrying } });
      const { call, ended } = clientStream(client, {
        plan: { failAttempts: 1 },
      });
      call.write(messageOf(12));
      call.write(messageOf(20));
      call.end();
      return await ended;
    },
    outcome: {
      saw: "OK",
      client: [echo("ClientStreamingEcho", 2, {
        OK: { attempts: 1, calls: 1, sent_bytes: 32, rcvd_bytes: 20 },
        UNAVAILABLE: { attempts: 1, sent_bytes: 32 },
      }, LOCALHOST)],
      server: [[echo("ClientStreamingEcho", 2, {
        OK: { calls: 1, sent_bytes: 20, rcvd_bytes: 32 },
        UNAVAILABLE: { calls: 1, rcvd_bytes: 32 },
      })]],
    },
  },
  "disabled retries": {
    async run(harness) {
      const { client } = await harness.pair({
        client: { options: { ...retrying, "grpc.enable_retries": 0 } },
      });
      return await unary(client, { bytes: 12, plan: { failAttempts: 2 } });
    },
    outcome: {
      saw: "UNAVAILABLE",
      client: oneAttempt("UnaryEcho", "UNAVAILABLE", { sent: 12 }),
      server: [oneCall("UnaryEcho", "UNAVAILABLE", { received: 12 })],
    },
  },
  "a unary call that is cancelled at once has no attempt, although the server receives it": {
    async run(harness) {
      const { client } = await harness.pair();
      return await unary(client, { made: (call) => call.cancel() });
    },
    outcome: {
      saw: "CANCELLED",
      client: [echo("UnaryEcho", 0, { CANCELLED: { calls: 1 } }, LOCALHOST)],
      server: [oneCall("UnaryEcho", "OK", { sent: 7, received: 7 })],
    },
  },
  "a call that is cancelled at once without a connection has no attempt": {
    async run(harness) {
      const { port } = await harness.server();
      return await unary(harness.client(`localhost:${port}`), {
        made: (call) => call.cancel(),
      });
    },
    outcome: {
      saw: "CANCELLED",
      client: [echo("UnaryEcho", 0, { CANCELLED: { calls: 1 } }, LOCALHOST)],
      server: [[]],
    },
  },
};
