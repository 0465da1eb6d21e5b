/** @module Streams that stay open until somebody ends them, such as a health Watch. */
import type * as grpc from "@grpc/grpc-js";

/** The side of a stream that the server writes. */
type ResponseStream =
  | grpc.ServerWritableStream<unknown, unknown>
  | grpc.ServerDuplexStream<unknown, unknown>;
type StreamHandler = (call: ResponseStream) => void;

/**
 * Ends the streams of helper services, such as health and reflection, when the server stops. Nobody
 * else ends them, so a graceful stop would wait for clients that may stay for days.
 */
export class StandingStreams {
  readonly #open = new Set<ResponseStream>();
  #ended = false;

  /** Adds a service to a server and keeps track of its streams. */
  add(server: grpc.Server, service: { addToServer(server: grpc.Server): void }): void {
    const addService: grpc.Server["addService"] = (definition, implementation) => {
      const streams = Object.values(definition).filter(({ responseStream }) => responseStream)
        .flatMap(({ path, originalName }) => [path.slice(path.lastIndexOf("/") + 1), originalName]);
      const tracked = Object.entries(implementation).map(([name, handler]) =>
        streams.includes(name) ? [name, this.#track(handler as StreamHandler)] : [name, handler]
      );
      server.addService(definition, Object.fromEntries(tracked));
    };
    service.addToServer({ addService } as grpc.Server);
  }

  /** Ends all streams, after what is written to them already, and those that still begin. */
  end(): void {
    this.#ended = true;
    for (const call of this.#open) end(call);
  }

  #track(handler: StreamHandler): StreamHandler {
    return (call) => {
      this.#open.add(call);
      for (const event of ["close", "finish", "cancelled"]) {
        call.on(event, () => this.#open.delete(call));
      }
      handler(call);
      if (this.#ended) end(call);
    };
  }
}

function end(call: ResponseStream): void {
  // A request that still arrives would be answered after the end.
  call.removeAllListeners("data");
  call.end();
}
