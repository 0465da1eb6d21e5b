import { status as Status } from "@grpc/grpc-js";
import type { Server } from "@grpc/grpc-js";
import { replaceMethod } from "../replace-method.ts";
import { shielded } from "../warning.ts";
import type { ServerMethod, ServerTelemetry } from "./call.ts";

/** The handler of a registered method. It has a callback if the method has a single response. */
type Handler = (
  call: PublicCall,
  callback?: (...args: unknown[]) => void,
) => void;

interface PublicCall {
  once(event: "cancelled" | "finish", listener: () => void): void;
  once(event: "error", listener: (error: unknown) => void): void;
}

interface PublicServer {
  register(path: string, handler: Handler, ...rest: unknown[]): boolean;
}

/**
 * Records what a server's public interface shows: calls of the methods that are registered from now
 * on and their status, without message sizes. Used for versions of grpc-js whose private parts are
 * unknown.
 */
export function hookRegister(server: Server, telemetry: ServerTelemetry): void {
  replaceMethod(
    server as unknown as PublicServer,
    "register",
    (register) =>
      function (this: PublicServer, path, handler, ...rest) {
        return register.call(this, path, recorded(path, handler, telemetry), ...rest);
      },
  );
}

function recorded(
  path: string,
  handler: Handler,
  telemetry: ServerTelemetry,
): Handler {
  let method: ServerMethod | undefined;
  return (call, callback) => {
    const included = telemetry.includes(path)
      ? shielded(() => method ??= telemetry.method(path))
      : undefined;
    if (!included?.isRecorded) {
      handler(call, callback);
      return;
    }
    let end = (_code: number) => {};
    shielded(() => {
      const recording = telemetry.startHandler(included);
      end = (code) => {
        end = () => {};
        shielded(() => recording.end(code));
      };
      call.once("cancelled", () => end(Status.CANCELLED));
      call.once("error", (error) => end(codeOf(error)));
      if (callback === undefined) call.once("finish", () => end(Status.OK));
    });
    handler(
      call,
      callback && ((error, ...rest) => {
        end(error ? codeOf(error) : Status.OK);
        callback(error, ...rest);
      }),
    );
  };
}

/** Returns the status code of an error. An application may pass anything, even a throwing getter. */
function codeOf(error: unknown): number {
  const code = shielded(() => (error as { code?: unknown } | null)?.code);
  return typeof code === "number" ? code : Status.UNKNOWN;
}
