/**
 * Works around how Node, Bun and Deno deliver HTTP/2 streams to a server, so that grpc-js and the
 * recording of calls do not have to.
 *
 * @module
 */
import type { ServerHttp2Stream } from "node:http2";

/**
 * Returns whether a stream is already over when the server receives it, as on Deno after an immediate
 * reset. grpc-js must not handle such a stream: it would answer it, and the resulting error would end
 * the process. From then on the stream's errors are ignored.
 */
export function isOverOnArrival(stream: ServerHttp2Stream): boolean {
  if (!stream.destroyed && !stream.closed) return false;
  stream.on("error", () => {});
  return true;
}

/**
 * Returns whether an error of a stream has no listener and would end the process. grpc-js listens for
 * errors of the calls that it serves, but not of calls that it refused, such as a reset by the
 * client.
 */
export function isUnheardError(stream: ServerHttp2Stream): boolean {
  return stream.listenerCount("error") === 0;
}

/**
 * Calls `callback` after two turns of the event loop: by then the bytes that arrived with the current
 * event are read, and everything that was scheduled before has run.
 */
export function afterTwoTurns(callback: () => void): void {
  setImmediate(() => setImmediate(callback));
}
