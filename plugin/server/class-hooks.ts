/**
 * The boundary to grpc-js's class of servers. Only this file changes it.
 *
 * @module
 */
import type { Server } from "@grpc/grpc-js";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { wrapUse } from "../first-use.ts";
import type { Methods } from "../first-use.ts";
import { globalState } from "../global-state.ts";
import type { Registration } from "../global-state.ts";
import { shielded } from "../warning.ts";
import { serverKey } from "./hooks.ts";
import type { RecordStream } from "./hooks.ts";
import type { StreamRecorder } from "./stream-recorder.ts";

/** Hooks each server before its first use while a plugin is registered. */
export function wrapServers({ prototype }: typeof Server): void {
  const methods = prototype as unknown as Methods;
  for (const name of ["bindAsync", "register", "createConnectionInjector"]) {
    wrapUse(methods, name, isUnused, use);
  }
  wrapStreams(methods);
}

function isUnused(registration: Registration, server: object): boolean {
  return !registration.used.has(server) && !registration.used.has(serverKey(server));
}

function use({ used, plugin }: Registration, server: object): RecordStream | undefined {
  used.add(server).add(serverKey(server));
  return plugin.useServer(server as Server);
}

/**
 * Hooks a server that is bound already when its next stream arrives. By then grpc-js has called the
 * listener that hooks replace, so this one stream is recorded here.
 */
function wrapStreams(methods: Methods): void {
  const verify = methods["_verifyContentType"];
  const run = methods["_runHandlerForCall"];
  if (verify === undefined || run === undefined) return;
  /** What records the stream that has arrived, until its handler runs in the same turn. */
  let arriving: StreamRecorder | undefined;

  methods["_verifyContentType"] = function (...args) {
    arriving = undefined;
    const { registration } = globalState;
    if (registration !== undefined && isUnused(registration, this)) {
      const [stream, headers] = args as [ServerHttp2Stream, IncomingHttpHeaders];
      arriving = shielded(() => use(registration, this)?.(stream, headers));
    }
    return verify.apply(this, args);
  };

  methods["_runHandlerForCall"] = function (...args) {
    const recorder = arriving;
    if (recorder === undefined) return run.apply(this, args);
    arriving = undefined;
    return recorder.context.run(run, this, args);
  };
}
