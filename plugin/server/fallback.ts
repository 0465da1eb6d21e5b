import { status as Status } from "@grpc/grpc-js";
import type { Server } from "@grpc/grpc-js";
import type { ServerMethod, ServerTelemetry } from "./call.ts";
import { shielded } from "../warning.ts";

/** What grpc-js calls for a registered method: with a callback if it sends a single response. */
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
 * Records what can be seen through the public interface of a server: calls of the methods that are
 * registered from now on, and how they end. It is what is left where the insides of a grpc-js are
 * not known.
 */
export function hookRegister(server: Server, telemetry: ServerTelemetry): void {
  const publicServer = server as unknown as PublicServer;
  const { register } = publicServer;
  publicServer.register = function (path, handler, ...rest) {
    return register.call(
      this,
      path,
      recorded(path, handler, telemetry),
      ...rest,
    );
  };
}

function recorded(
  path: string,
  handler: Handler,
  telemetry: ServerTelemetry,
): Handler {
  let method: ServerMethod | undefined;
  return (call, callback) => {
    let end = (_code: number) => {};
    shielded(() => {
      const recording = telemetry.startHandler(method ??= telemetry.method(path));
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

/** An application may throw anything, even what throws when its code is read. */
function codeOf(error: unknown): number {
  const code = shielded(() => (error as { code?: unknown } | null)?.code);
  return typeof code === "number" ? code : Status.UNKNOWN;
}
