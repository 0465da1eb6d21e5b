import type { Metadata } from "@grpc/grpc-js";
import type { CallContext } from "../tracing/call-context.ts";
import type { RpcStatus } from "./call.ts";

/** The listener of a grpc-js call or attempt. */
export interface CallListener {
  onReceiveMetadata(metadata: Metadata): void;
  onReceiveMessage(message: Uint8Array): void;
  onReceiveStatus(status: RpcStatus): void;
}

/** Returns a listener that calls the application in the context of the call's caller. */
export function inContext(caller: CallContext, listener: CallListener): CallListener {
  return {
    onReceiveMetadata: (metadata) => caller.run(listener.onReceiveMetadata, listener, [metadata]),
    onReceiveMessage: (message) => caller.run(listener.onReceiveMessage, listener, [message]),
    onReceiveStatus: (status) => caller.run(listener.onReceiveStatus, listener, [status]),
  };
}
