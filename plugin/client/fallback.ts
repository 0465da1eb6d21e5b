import type { ChannelInterface, Metadata } from "@grpc/grpc-js";
import type { ClientTelemetry, RpcStatus } from "./call.ts";
import { shielded } from "../warning.ts";

/** What a call tells the application's interceptors. */
interface CallListener {
  onReceiveMetadata(metadata: Metadata): void;
  onReceiveMessage(message: unknown): void;
  onReceiveStatus(status: RpcStatus): void;
}

/** A call as grpc-js's interceptors see it. */
interface PublicCall {
  start(metadata: Metadata, listener: CallListener): void;
}

interface PublicChannel {
  createCall(path: string, ...rest: unknown[]): PublicCall;
}

/**
 * Records what can be seen through the public interface of a channel: its calls, and how they end.
 * It is what is left where the insides of a grpc-js are not known.
 */
export function hookPublicChannel(
  channel: ChannelInterface,
  telemetry: ClientTelemetry,
): void {
  const publicChannel = channel as unknown as PublicChannel;
  const { createCall } = publicChannel;
  publicChannel.createCall = function (path, ...rest) {
    const call = createCall.call(this, path, ...rest);
    shielded(() => {
      const recorded = telemetry.startCall(path);
      const { start } = call;
      call.start = function (metadata, listener) {
        start.call(this, metadata, {
          onReceiveMetadata: (received) => listener.onReceiveMetadata(received),
          onReceiveMessage: (message) => listener.onReceiveMessage(message),
          onReceiveStatus: (status) => {
            shielded(() => recorded.end(status));
            listener.onReceiveStatus(status);
          },
        });
      };
    });
    return call;
  };
}
