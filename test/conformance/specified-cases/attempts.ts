/** Attempts without a connection, retries, hedges, and what grpc-js starts after the end. */
import * as grpc from "@grpc/grpc-js";
import { freePort } from "../../support/ports.ts";
import { eventually } from "../../support/eventually.ts";
import { clientStream, messageOf, unary } from "../calls.ts";
import { echo, LOCALHOST } from "../case.ts";
import type { Stage } from "../harness.ts";
import { oneAttempt, oneCall } from "./specified-case.ts";
import type { FurtherCases } from "./specified-case.ts";

function serviceConfig(
  methodPolicy: object,
  rest: object = {},
): grpc.ClientOptions {
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

function credentials(
  generate: Parameters<typeof grpc.credentials.createFromMetadataGenerator>[0],
) {
  return grpc.credentials.createFromMetadataGenerator(generate);
}

async function withCredentials(
  stage: Stage,
  generate: Parameters<typeof credentials>[0],
  deadline = Infinity,
): Promise<string> {
  const { client } = await stage.pair();
  return await unary(client, {
    options: { credentials: credentials(generate), deadline },
  });
}

function serversSaw(stage: Stage, calls: number): Promise<void> {
  return eventually(async () => {
    const [series] = await stage.gained("server");
    if (series?.started !== calls) {
      throw new Error(`${series?.started} calls reached the server`);
    }
  }, 30_000);
}

export const ATTEMPTS: FurtherCases = {
  "a call that waits for a server is one attempt": {
    async play(stage) {
      const port = await freePort();
      const client = stage.client(`localhost:${port}`, {
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
      await stage.server({ address: `127.0.0.1:${port}` });
      return await saw;
    },
    comesTo: {
      saw: "OK",
      client: oneAttempt("UnaryEcho", "OK", { sent: 7, received: 7 }),
      server: [oneCall("UnaryEcho", "OK", { sent: 7, received: 7 })],
    },
  },
  "a call that waits in vain ends with its deadline": {
    play: async (stage) =>
      unary(stage.client(`localhost:${await freePort()}`), {
        waitForReady: true,
        options: { deadline: Date.now() + 300 },
      }),
    comesTo: {
      saw: "DEADLINE_EXCEEDED",
      client: oneAttempt("UnaryEcho", "DEADLINE_EXCEEDED"),
      server: [[]],
    },
  },
  "a call that waits when the channel is closed ends": {
    async play(stage) {
      const client = stage.client(`localhost:${await freePort()}`);
      const saw = unary(client, { waitForReady: true });
      await eventually(async () => {
        if ((await stage.gained("client")).length === 0) {
          throw new Error("no attempt yet");
        }
      });
      client.close();
      return await saw;
    },
    comesTo: {
      saw: "UNAVAILABLE",
      client: oneAttempt("UnaryEcho", "UNAVAILABLE"),
      server: [[]],
    },
  },
  "credentials that fail": {
    play: (stage) =>
      withCredentials(
        stage,
        (_options, done) =>
          done(
            Object.assign(new Error("planned"), {
              code: grpc.status.UNAUTHENTICATED,
            }),
          ),
      ),
    comesTo: {
      saw: "UNAUTHENTICATED",
      client: oneAttempt("UnaryEcho", "UNAUTHENTICATED"),
      server: [[]],
    },
  },
  "credentials that never come": {
    play: (stage) => withCredentials(stage, () => {}, Date.now() + 300),
    comesTo: {
      saw: "DEADLINE_EXCEEDED",
      client: oneAttempt("UnaryEcho", "DEADLINE_EXCEEDED"),
      server: [[]],
    },
  },
  "hedges that are cancelled have each an end": {
    async play(stage) {
      const hedgingPolicy = {
        maxAttempts: 3,
        hedgingDelay: "0.01s",
        nonFatalStatusCodes: [],
      };
      const { client } = await stage.pair({
        client: { options: serviceConfig({ hedgingPolicy }) },
      });
      return await unary(client, {
        bytes: 12,
        plan: { hang: true },
        made: (call) => void serversSaw(stage, 3).then(() => call.cancel()),
      });
    },
    comesTo: {
      saw: "CANCELLED",
      client: [
        echo("UnaryEcho", 3, {
          CANCELLED: { attempts: 3, calls: 1, sent_bytes: 36 },
        }, LOCALHOST),
      ],
      server: [[
        echo("UnaryEcho", 3, { CANCELLED: { calls: 3, rcvd_bytes: 36 } }),
      ]],
    },
  },
  "hedges that follow failures": {
    async play(stage) {
      const hedgingPolicy = {
        maxAttempts: 3,
        hedgingDelay: "60s",
        nonFatalStatusCodes: ["UNAVAILABLE"],
      };
      const { client } = await stage.pair({
        client: { options: serviceConfig({ hedgingPolicy }) },
      });
      return await unary(client, { bytes: 12, plan: { failAttempts: 2 } });
    },
    comesTo: {
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
  "a retry that is throttled is no attempt": {
    async play(stage) {
      const retryThrottling = { maxTokens: 2, tokenRatio: 0.1 };
      const { client } = await stage.pair({
        client: {
          options: serviceConfig({ retryPolicy }, { retryThrottling }),
        },
      });
      return await unary(client, { bytes: 12, plan: { failAttempts: 9 } });
    },
    comesTo: {
      saw: "UNAVAILABLE",
      client: oneAttempt("UnaryEcho", "UNAVAILABLE", { sent: 12 }),
      server: [oneCall("UnaryEcho", "UNAVAILABLE", { received: 12 })],
    },
  },
  "a retry sends all messages again": {
    async play(stage) {
      const { client } = await stage.pair({ client: { options: retrying } });
      const { call, ended } = clientStream(client, {
        plan: { failAttempts: 1 },
      });
      call.write(messageOf(12));
      call.write(messageOf(20));
      call.end();
      return await ended;
    },
    comesTo: {
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
  "retries that are switched off": {
    async play(stage) {
      const { client } = await stage.pair({
        client: { options: { ...retrying, "grpc.enable_retries": 0 } },
      });
      return await unary(client, { bytes: 12, plan: { failAttempts: 2 } });
    },
    comesTo: {
      saw: "UNAVAILABLE",
      client: oneAttempt("UnaryEcho", "UNAVAILABLE", { sent: 12 }),
      server: [oneCall("UnaryEcho", "UNAVAILABLE", { received: 12 })],
    },
  },
  "a unary call that is cancelled at once is no attempt, although the server gets it": {
    async play(stage) {
      const { client } = await stage.pair();
      return await unary(client, { made: (call) => call.cancel() });
    },
    comesTo: {
      saw: "CANCELLED",
      client: [echo("UnaryEcho", 0, { CANCELLED: { calls: 1 } }, LOCALHOST)],
      server: [oneCall("UnaryEcho", "OK", { sent: 7, received: 7 })],
    },
  },
  "a call that is cancelled at once before there is a connection is no attempt": {
    async play(stage) {
      const { port } = await stage.server();
      return await unary(stage.client(`localhost:${port}`), {
        made: (call) => call.cancel(),
      });
    },
    comesTo: {
      saw: "CANCELLED",
      client: [echo("UnaryEcho", 0, { CANCELLED: { calls: 1 } }, LOCALHOST)],
      server: [[]],
    },
  },
};
