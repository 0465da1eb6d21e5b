import {
  credentials,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
} from "@grpc/grpc-js";
import { createApiCall, GrpcClient, StreamDescriptor, StreamType } from "google-gax";
import { makeCalls } from "../calls.cjs";
import { collect, handlers, listen, send, service } from "../echo.cjs";

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

export async function main({ onServer = () => {}, onChannel = () => {} } = {}) {
  const server = new Server();
  onServer(server);
  server.addService(service, handlers);
  const [servicePath, port] = (await listen({ ServerCredentials }, server)).split(":");

  // google-gax asks for the domain that the application's identity belongs to.
  const auth = { getUniverseDomain: () => Promise.resolve("googleapis.com") };
  const gaxGrpc = new GrpcClient({ auth });
  const settings = gaxGrpc.constructSettings(SERVICE, CONFIG, {}, {});
  const stub = await gaxGrpc.createStub(makeGenericClientConstructor(service), {
    servicePath,
    port: Number(port),
    sslCreds: credentials.createInsecure(),
  });
  onChannel(stub.getChannel());
  const apiCall = (name, type) =>
    createApiCall(
      Promise.resolve(stub[name].bind(stub)),
      settings[name],
      type === undefined ? undefined : new StreamDescriptor(type),
    );
  const unaryEcho = apiCall("unaryEcho");
  const serverStreamingEcho = apiCall("serverStreamingEcho", StreamType.SERVER_STREAMING);
  const clientStreamingEcho = apiCall("clientStreamingEcho", StreamType.CLIENT_STREAMING);
  const bidirectionalEcho = apiCall("bidirectionalStreamingEcho", StreamType.BIDI_STREAMING);

  await makeCalls({
    unary: async (request) => (await unaryEcho(request))[0],
    serverStreaming: (request) => collect(serverStreamingEcho(request)),
    clientStreaming: (requests) =>
      new Promise((resolve, reject) => {
        const call = clientStreamingEcho({}, undefined, (error, reply) =>
          error ? reject(error) : resolve(reply));
        send(call, requests);
      }),
    bidirectionalStreaming(requests) {
      const call = bidirectionalEcho({});
      send(call, requests);
      return collect(call);
    },
  });
  stub.close();
  await new Promise((resolve) => server.tryShutdown(resolve));
}
