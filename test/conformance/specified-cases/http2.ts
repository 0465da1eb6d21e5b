/** What happens at the level of HTTP/2 and no recorded case has. */
import { connect } from "node:http2";
import { unary } from "../calls.ts";
import { echo } from "../case.ts";
import { rawRequest } from "../raw-request.ts";
import { eventually } from "../../support/eventually.ts";
import type { FurtherCase, FurtherCases } from "./specified-case.ts";
import { oneAttempt, oneCall } from "./specified-case.ts";

const LOOPBACK = "dns:///127.0.0.1:50051";

/** A unary call of 12 bytes to a server that gives its one stream a plan of `raw-server.ts`. */
function raw(
  plan: string,
  status: string,
  call = status,
  received = 0,
): FurtherCase {
  return {
    play: async (stage) => unary(stage.client(`127.0.0.1:${await stage.raw(plan)}`), { bytes: 12 }),
    comesTo: {
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

export const HTTP2: FurtherCases = {
  "a stream reset without an error": raw("rst-no-error", "INTERNAL"),
  "a stream reset for an error of protocol": raw(
    "rst-protocol-error",
    "INTERNAL",
  ),
  "a stream reset for an internal error": raw("rst-internal-error", "INTERNAL"),
  "a stream reset to calm the client": raw("rst-calm", "RESOURCE_EXHAUSTED"),
  "a stream reset for want of security": raw(
    "rst-security",
    "PERMISSION_DENIED",
  ),
  "a connection closed after the headers": raw(
    "close-after-headers",
    "UNAVAILABLE",
  ),
  "HTTP 404 with a page": {
    ...raw("http404", "UNIMPLEMENTED"),
    comesTo: (saw) => ({
      // Deno may hand over the page before the code: it is then a message that is too long.
      saw: saw === "RESOURCE_EXHAUSTED" ? saw : "UNIMPLEMENTED",
      client: oneAttempt("UnaryEcho", saw, { sent: 12, target: LOOPBACK }),
      server: [[]],
    }),
  },
  "a message and no status": raw("data-nostatus", "INTERNAL", "INTERNAL", 5),
  // The channel does not know that the method's reply is one message: its call ends OK.
  "a unary reply without a message": raw("trailersonly-ok", "OK"),
  "a reply that breaks off in a message": raw("truncated-message", "OK"),
  "a stream that is refused twice": {
    play: async (stage) =>
      unary(stage.client(`127.0.0.1:${await stage.raw("refuse")}`), {
        bytes: 12,
      }),
    comesTo: {
      saw: "UNAVAILABLE",
      client: [echo("UnaryEcho", 2, {
        UNAVAILABLE: { attempts: 2, calls: 1, sent_bytes: 24 },
      }, LOOPBACK)],
      server: [[]],
      streams: ["refuse", "refuse"],
    },
  },

  "a content type with a suffix is gRPC": {
    play: async (stage) =>
      rawRequest(
        (await stage.server()).port,
        { "content-type": "application/grpc+proto" },
        EMPTY_TEXT,
      ),
    comesTo: {
      saw: "OK",
      client: [],
      server: [oneCall("UnaryEcho", "OK", { received: 2 })],
    },
  },
  "what is not gRPC is no call": {
    async play(stage) {
      const { port } = await stage.server();
      await rawRequest(port, { "content-type": "text/plain" }, EMPTY_TEXT);
      return "an answer";
    },
    comesTo: { saw: "an answer", client: [], server: [[]] },
  },
  "a path that names no method is other": {
    play: async (stage) =>
      rawRequest(
        (await stage.server()).port,
        { ":path": "/grpc.examples.echo.Echo/UnaryEcho?x" },
        EMPTY_TEXT,
      ),
    comesTo: {
      saw: "UNIMPLEMENTED",
      client: [],
      server: [oneCall("other", "UNIMPLEMENTED")],
    },
  },
  "a timeout that is none": {
    play: async (stage) =>
      rawRequest(
        (await stage.server()).port,
        { "grpc-timeout": "nonsense" },
        EMPTY_TEXT,
      ),
    comesTo: {
      saw: "INTERNAL",
      client: [],
      // The request may be there before the answer.
      server: [
        oneCall("UnaryEcho", "INTERNAL"),
        oneCall("UnaryEcho", "INTERNAL", { received: 2 }),
      ],
    },
  },
  "a connection that is lost in the middle of a message": {
    async play(stage) {
      const { port } = await stage.server();
      const session = connect(`http://127.0.0.1:${port}`);
      const stream = session.request({
        ":method": "POST",
        ":path": "/grpc.examples.echo.Echo/UnaryEcho",
        "content-type": "application/grpc",
      });
      stream.on("error", () => {});
      stream.write(Buffer.from("00000000090a", "hex"));
      await eventually(async () => {
        if ((await stage.gained("server")).length === 0) {
          throw new Error("no call yet");
        }
      }, 30_000);
      session.destroy();
      return "nothing";
    },
    comesTo: {
      saw: "nothing",
      client: [],
      server: [oneCall("UnaryEcho", "CANCELLED")],
    },
  },
};
