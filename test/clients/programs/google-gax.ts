import { credentials, loadPackageDefinition, Server } from "@grpc/grpc-js";
import type { Client, ClientReadableStream } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import * as gax from "google-gax";
import { fileURLToPath } from "node:url";
import type { ProtoGrpcType } from "../generated/proto-loader/echo.ts";
import { echo, listen, responses, send } from "./grpc-js.ts";
import type { Message } from "./grpc-js.ts";
import type { Kit } from "./kit.ts";

const definition = loadSync(
  fileURLToPath(new URL("../../../echo.proto", import.meta.url)),
  { defaults: true },
);
const loaded = loadPackageDefinition(definition) as unknown as ProtoGrpcType;
const { Echo } = loaded.grpc.examples.echo;

const SERVICE = "grpc.examples.echo.Echo";
const METHOD = { retry_codes_name: "none", retry_params_name: "default" };
/** The configuration that Google generates for each client. */
const CONFIG = {
  interfaces: {
    [SERVICE]: {
      retry_codes: { none: [] },
      retry_params: {
        default: {
          initial_retry_delay_millis: 100,
          retry_delay_multiplier: 1.3,
          max_retry_delay_millis: 60_000,
          initial_rpc_timeout_millis: 60_000,
          rpc_timeout_multiplier: 1,
          max_rpc_timeout_millis: 60_000,
          total_timeout_millis: 600_000,
        },
      },
      methods: {
        UnaryEcho: METHOD,
        ServerStreamingEcho: METHOD,
        ClientStreamingEcho: METHOD,
        BidirectionalStreamingEcho: METHOD,
      },
    },
  },
};

/** google-gax asks for the domain that the application's identity belongs to. */
const auth = { getUniverseDomain: () => Promise.resolve("googleapis.com") };

type Method = (...args: unknown[]) => unknown;

export const googleGax: Kit = {
  serve(otel, address) {
    const server = otel.instrumentServer(new Server());
    server.addService(Echo.service, echo);
    return listen(server, address);
  },

  connect(otel, address) {
    const [servicePath = "", port] = address.split(":");
    const gaxGrpc = new gax.GrpcClient({ auth: auth as unknown as gax.GoogleAuth });
    const settings = gaxGrpc.constructSettings(SERVICE, CONFIG, {}, {});

    async function connected(): Promise<Client & Record<string, Method>> {
      const stub = await gaxGrpc.createStub(Echo as unknown as typeof gax.ClientStub, {
        servicePath,
        port: Number(port),
        sslCreds: credentials.createInsecure(),
      });
      otel.instrumentChannel(stub.getChannel());
      return stub as unknown as Client & Record<string, Method>;
    }
    const stub = connected();

    function apiCall(name: string, type?: gax.StreamType) {
      const method = stub.then((stub) => stub[name]!.bind(stub));
      const descriptor = type === undefined ? undefined : new gax.StreamDescriptor(type);
      return gax.createApiCall(
        method as unknown as Promise<gax.GRPCCall>,
        settings[name],
        descriptor,
      );
    }
    const unaryEcho = apiCall("unaryEcho");
    const serverStreamingEcho = apiCall("serverStreamingEcho", gax.StreamType.SERVER_STREAMING);
    const clientStreamingEcho = apiCall("clientStreamingEcho", gax.StreamType.CLIENT_STREAMING);
    const bidirectionalEcho = apiCall(
      "bidirectionalStreamingEcho",
      gax.StreamType.BIDI_STREAMING,
    );
    return {
      async unary(message) {
        const [response] = await unaryEcho({ message }) as unknown as [Message];
        return response.message;
      },
      serverStreaming: (message) =>
        responses(serverStreamingEcho({ message }) as unknown as ClientReadableStream<Message>),
      clientStreaming: (texts) =>
        new Promise((resolve, reject) => {
          const stream = clientStreamingEcho({}, undefined, (error, reply) => {
            if (error) reject(error);
            else resolve((reply as unknown as Message).message);
          });
          send(stream as unknown as Parameters<typeof send>[0], texts);
        }),
      bidirectionalStreaming(texts) {
        const stream = bidirectionalEcho({}) as unknown as ClientReadableStream<Message>;
        send(stream as unknown as Parameters<typeof send>[0], texts);
        return responses(stream);
      },
      close: () => void stub.then((stub) => stub.close()),
    };
  },
};
