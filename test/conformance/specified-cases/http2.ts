/**
 * Cases at the level of HTTP/2.
 *
 * @module
 */
import { connect } from "node:http2";
import { unary } from "../calls.ts";
import { echo } from "../case.ts";
import { rawRequest } from "../../support/raw-request.ts";
import { eventually } from "../../support/eventually.ts";
import type { SpecifiedCase, SpecifiedCases } from "./specified-case.ts";
import { oneAttempt, oneCall } from "./specified-case.ts";

const LOOPBACK = "dns:///127.0.0.1:50051";

/** Makes a unary call of 12 bytes to a raw server whose stream follows a plan of `raw-server.ts`. */
function raw(plan: string, status: string, call = status, received = 0): SpecifiedCase {
  return {
    run: async (harness) =>
      unary(harness.client(`127.0.0.1:${await harness.raw(plan)}`), { bytes: 12 }),
    outcome: {
      saw: plan === "trailersonly-ok" || plan === "truncated-message" ? "UNIMPLEMENTED" : call,
      client: oneAttempt("UnaryEcho", status, {
        sent: 12,
        received,
        call,
        target: LOOPBACK,
      }),
      server: [[]],
      streams: [plan],
    },
  };
}

const EMPTY_TEXT = Buffer.from("00000000020a00", "hex");

export const HTTP2: SpecifiedCases = {
  "a stream reset with NO_ERROR": raw("rst-no-error", "INTERNAL"),
  "a stream reset with PROTOCOL_ERROR": raw("rst-protocol-error", "INTERNAL"),
  "a stream reset with INTERNAL_ERROR": raw("rst-internal-error", "INTERNAL"),
  "a stream reset with ENHANCE_YOUR_CALM": raw("rst-calm", "RESOURCE_EXHAUSTED"),
  "a stream reset with INADEQUATE_SECURITY": raw("rst-security", "PERMISSION_DENIED"),
  "a connection closed after the headers": raw("close-after-headers", "UNAVAILABLE"),
  "HTTP 404 with an HTML page": {
    ...raw("http404", "UNIMPLEMENTED"),
    outcome: (saw) => ({
      // Deno may deliver the page before the status code. It is then taken for an oversized message.
      saw: saw === "RESOURCE_EXHAUSTED" ? saw : "UNIMPLEMENTED",
      client: oneAttempt("UnaryEcho", saw, { sent: 12, target: LOOPBACK }),
      server: [[]],
    }),
  },
  "a message without a status": raw("data-nostatus", "INTERNAL", "INTERNAL", 5),
  // The channel does not know that the method is unary, so the attempt and the call end with OK.
  "a unary reply without a message": raw("trailersonly-ok", "OK"),
  "a reply with a truncated message": raw("truncated-message", "OK"),
  "a stream that is refused twice": {
    run: async (harness) =>
      unary(harness.client(`127.0.0.1:${await harness.raw("refuse")}`), {
        bytes: 12,
      }),
    outcome: {
      saw: "UNAVAILABLE",
      client: [echo("UnaryEcho", 2, {
        UNAVAILABLE: { attempts: 2, calls: 1, sent_bytes: 24 },
      }, LOOPBACK)],
      server: [[]],
      streams: ["refuse", "refuse"],
    },
  },

  "a content type with a suffix is gRPC": {
    run: async (harness) =>
      rawRequest(
        (await harness.server()).port,
        { "content-type": "application/grpc+proto" },
        EMPTY_TEXT,
      ),
    outcome: {
      saw: "OK",
      client: [],
      server: [oneCall("UnaryEcho", "OK", { received: 2 })],
    },
  },
  "a request that is not gRPC is not a call": {
    async run(harness) {
      const { port } = await harness.server();
      await rawRequest(port, { "content-type": "text/plain" }, EMPTY_TEXT);
      return "an answer";
    },
    outcome: { saw: "an answer", client: [], server: [[]] },
  },
  "a path without a registered method is recorded as other": {
    run: async (harness) =>
      rawRequest(
        (await harness.server()).port,
        { ":path": "/grpc.examples.echo.Echo/UnaryEcho?x" },
        EMPTY_TEXT,
      ),
    outcome: {
      saw: "UNIMPLEMENTED",
      client: [],
      server: [oneCall("other", "UNIMPLEMENTED")],
    },
  },
  "an invalid timeout": {
    run: async (harness) =>
      rawRequest((await harness.server()).port, { "grpc-timeout": "nonsense" }, EMPTY_TEXT),
    outcome: {
      saw: "INTERNAL",
      client: [],
      // The request may arrive before the answer is sent.
      server: [oneCall("UnaryEcho", "INTERNAL"), oneCall("UnaryEcho", "INTERNAL", { received: 2 })],
    },
  },
  "a connection that is lost during a message": {
    async run(harness) {
      const { port } = await harness.server();
      const session = connect(`http://127.0.0.1:${port}`);
      const stream = session.request({
        ":method": "POST",
        ":path": "/grpc.examples.echo.Echo/UnaryEcho",
        "content-type": "application/grpc",
      });
      stream.on("error", () => {});
      stream.write(Buffer.from("00000000090a", "hex"));
      await eventually(async () => {
        if ((await harness.gained("server")).length === 0) {
          throw new Error("no call yet");
        }
      }, 30_000);
      session.destroy();
      return "nothing";
    },
    outcome: {
      saw: "nothing",
      client: [],
      server: [oneCall("UnaryEcho", "CANCELLED")],
    },
  },
};
