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
  readonly extraPickInfo: ExtraPickInfo;
  readonly result: experimental.PickResult;
}

/** Records what an attempt waits for. Called before the attempt starts. */
export type WatchPicks = (attempt: object, delays: Delays) => void;

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
        const result = doPick.call(this, metadata, extraPickInfo);
        if (picks !== undefined) {
          shielded(() => picks.picked({ metadata, extraPickInfo, result }));
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

  return (attempt, delays) => {
    if (!canPick(attempt)) return warnOfShape("LoadBalancingCall");
    const linked = attempt as Linked;
    linked[link] = new Picks(linked.doPick, delays);
    linked.doPick = doPickOfAttempt;
  };
}

function warnOfShape(name: string): void {
  warnOnce(
    `gRPC delays of attempts are not recorded: this version of @grpc/grpc-js has no ${name} with ` +
      "doPick",
  );
}

/** The picks of one attempt, and the attempt's own method. */
class Picks {
  readonly doPick: PickingAttempt["doPick"];
  readonly #delays: Delays;
  /** The latest pick if it gave the attempt a subchannel. */
  #complete: Pick | undefined;

  constructor(doPick: PickingAttempt["doPick"], delays: Delays) {
    this.doPick = doPick;
    this.#delays = delays;
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
  }

  #waitAfter(pick: Pick): void {
    const delay = delayAfter(pick);
    if (delay === undefined) this.#delays.end();
    else this.#delays.begin(delay.type, delay.reason);
  }
}

/** What an attempt waits for. */
interface Delay {
  readonly type: string;
  readonly reason: string;
}

/**
 * Returns what an attempt waits for after a pick (gRFC A121). The prefix of a load balancing policy,
 * such as `p0:`, goes before the type here. `extraPickInfo` names the cluster whose policies picked.
 *
 * @returns Undefined if the attempt goes on or fails.
 */
function delayAfter({ metadata, result }: Pick): Delay | undefined {
  const { pickResultType, status, subchannel } = result;
  switch (pickResultType) {
    case experimental.PickResultType.QUEUE:
      return { type: "connecting", reason: "waiting for a connection" };
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
