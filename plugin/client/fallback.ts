import type { ChannelInterface, Metadata } from "@grpc/grpc-js";
import { replaceMethod } from "../replace-method.ts";
import { shielded } from "../warning.ts";
import type { ClientTelemetry } from "./call.ts";
import { inContext } from "./call-listener.ts";
import type { CallListener } from "./call-listener.ts";

/** A call, as grpc-js's interceptors see it. */
interface PublicCall {
  start(metadata: Metadata, listener: CallListener): void;
}

interface PublicChannel {
  createCall(path: string, ...rest: unknown[]): PublicCall;
}

/**
 * Records what a channel's public interface shows: its calls and their status, without attempts and
 * message sizes. Used for versions of grpc-js whose private parts are unknown.
 */
export function hookPublicChannel(
  channel: ChannelInterface,
  telemetry: ClientTelemetry,
): void {
  const publicChannel = channel as unknown as PublicChannel;
  replaceMethod(
    publicChannel,
    "createCall",
    (createCall) =>
      function (this: PublicChannel, path, ...rest) {
        const call = createCall.call(this, path, ...rest);
        shielded(() => {
          const recorded = telemetry.createCall(path);
          const { caller } = recorded;
          const { start } = call;
          call.start = function (metadata, given) {
            shielded(() => recorded.start());
            const listener = caller === undefined ? given : inContext(caller, given);
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
      },
  );
}
