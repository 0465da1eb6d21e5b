/**
 * The boundary to the picks of grpc-js's load balancers. Only this file knows their private shape.
 *
 * An attempt asks its channel for a subchannel again and again until it gets one. The channel does not
 * say for which attempt it picks, and the attempt does not show the result, so this file replaces both
 * methods.
 *
 * @module
 */
import { connectivityState as State, experimental } from "@grpc/grpc-js";
import type { Metadata } from "@grpc/grpc-js";
import { replaceMethod } from "../replace-method.ts";
import { shielded, warnOnce } from "../warning.ts";
import type { Delays } from "./delays.ts";
import { backendServiceOf, localityOf, routes } from "./policy-tree.ts";
import type { Route } from "./policy-tree.ts";

/** The parts of grpc-js's `InternalChannel` that this file uses. */
interface InternalChannel {
  doPick(metadata: Metadata, extraPickInfo: ExtraPickInfo): experimental.PickResult;
}

/** What the channel's configuration tells its load balancer of a call, such as the xDS cluster. */
type ExtraPickInfo = Readonly<Record<string, string>>;

/** grpc-js's `LoadBalancingCall`: one attempt. */
interface PickingAttempt {
  doPick(): void;
}

/** One pick with its result. */
interface Pick {
  readonly metadata: Metadata;
  readonly route: Route;
  readonly result: experimental.PickResult;
}

/** Records the picks of one attempt. */
export interface PickRecorder {
  /** Records what the attempt waits for. Undefined if that is not recorded. */
  readonly delays: Delays | undefined;
  /**
   * Called after each pick with xDS.
   *
   * @param backendService The label `grpc.lb.backend_service`.
   * @param locality The label `grpc.lb.locality`. Undefined if no subchannel was picked.
   */
  routed(backendService: string, locality: string | undefined): void;
}

/** Records the picks of an attempt. Called before the attempt starts. */
export type WatchPicks = (attempt: object, recorder: PickRecorder) => void;

function canPick(value: object): value is PickingAttempt & InternalChannel {
  return typeof (value as Partial<PickingAttempt>).doPick === "function";
}

/**
 * Watches the picks of a channel.
 *
 * @returns A function that watches those of one attempt. Undefined, with one warning, if this version of
 * grpc-js has a different internal channel.
 */
export function hookPicks(internalChannel: object): WatchPicks | undefined {
  if (!canPick(internalChannel)) {
    warnOfShape("InternalChannel");
    return undefined;
  }
  const link = Symbol("picks");
  type Linked = PickingAttempt & { [link]?: Picks };
  const routeOf = routes(internalChannel);
  /** The picks of the attempt that is about to pick. */
  let picking: Picks | undefined;

  replaceMethod(
    internalChannel as InternalChannel,
    "doPick",
    (doPick) =>
      function (this: InternalChannel, metadata, extraPickInfo) {
        const picks = picking;
        // A pick may make the load balancer call other attempts, which need not be watched.
        picking = undefined;
        // A pick may make the load balancer connect, and so change where calls go.
        const route = picks && shielded(() => routeOf(extraPickInfo["cluster"]));
        const result = doPick.call(this, metadata, extraPickInfo);
        if (picks !== undefined && route !== undefined) {
          shielded(() => picks.picked({ metadata, route, result }));
        }
        return result;
      },
  );

  function doPickOfAttempt(this: Linked): void {
    const picks = this[link]!;
    const outer = picking;
    picking = picks;
    try {
      shielded(() => picks.starts());
      picks.doPick.call(this);
    } finally {
      picking = outer;
    }
  }

  return (attempt, recorder) => {
    if (!canPick(attempt)) return warnOfShape("LoadBalancingCall");
    const linked = attempt as Linked;
    linked[link] = new Picks(linked.doPick, recorder);
    linked.doPick = doPickOfAttempt;
  };
}

function warnOfShape(name: string): void {
  warnOnce(
    "gRPC delays of attempts and load balancer labels are not recorded: this version of " +
      `@grpc/grpc-js has no ${name} with doPick`,
  );
}

/** The picks of one attempt, and the attempt's own method. */
class Picks {
  readonly doPick: PickingAttempt["doPick"];
  readonly #recorder: PickRecorder;
  /** The latest pick if it gave the attempt a subchannel. */
  #complete: Pick | undefined;

  constructor(doPick: PickingAttempt["doPick"], recorder: PickRecorder) {
    this.doPick = doPick;
    this.#recorder = recorder;
  }

  /** Called before a pick. After a pick that gave a subchannel, that one is no longer ready. */
  starts(): void {
    if (this.#complete !== undefined) this.#waitAfter(this.#complete);
  }

  /** Called after a pick. */
  picked(pick: Pick): void {
    const isComplete = pick.result.pickResultType === experimental.PickResultType.COMPLETE;
    this.#complete = isComplete ? pick : undefined;
    this.#waitAfter(pick);
    const { route, result } = pick;
    if (route.cluster === undefined) return;
    const address = isComplete ? result.subchannel?.getAddress() : undefined;
    this.#recorder.routed(
      backendServiceOf(route),
      address === undefined ? undefined : localityOf(route.cluster, address),
    );
  }

  #waitAfter(pick: Pick): void {
    const { delays } = this.#recorder;
    if (delays === undefined) return;
    const delay = delayAfter(pick);
    if (delay === undefined) delays.end();
    else delays.begin(delay.type, delay.reason);
  }
}

/** What an attempt waits for. */
interface Delay {
  readonly type: string;
  readonly reason: string;
}

/**
 * Returns what an attempt waits for after a pick (gRFC A121). Only what the load balancer says itself
 * has its priorities before the type.
 *
 * @returns Undefined if the attempt goes on or fails.
 */
function delayAfter({ metadata, route, result }: Pick): Delay | undefined {
  const { pickResultType, status, subchannel } = result;
  switch (pickResultType) {
    case experimental.PickResultType.QUEUE:
      return { type: `${route.priorities}connecting`, reason: "waiting for a connection" };
    case experimental.PickResultType.TRANSIENT_FAILURE:
      if (!metadata.getOptions().waitForReady) return undefined;
      return {
        type: "picker_failing_with_wait_for_ready",
        reason: `picker is in transient failure: ${status?.details}`,
      };
    case experimental.PickResultType.COMPLETE: {
      const state = subchannel?.getConnectivityState();
      if (state === undefined || state === State.READY) return undefined;
      return {
        type: "subchannel_state_mismatch",
        reason: `picked subchannel ${subchannel?.getAddress()} is ${State[state]}`,
      };
    }
    default:
      return undefined;
  }
}
