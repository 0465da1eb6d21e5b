import type { CallOptions, ClientOptions } from "@grpc/grpc-js";
import { AsyncLocalStorage } from "node:async_hooks";
import { withMethods } from "../replace-method.ts";
import { shared } from "../shared-state.ts";

/** A symbol, because clients copy it along with the call options and it cannot clash with a name. */
const LABEL: unique symbol = Symbol.for("grpc-js-opentelemetry/grpc.client.call.custom");

type LabelledOptions = CallOptions & { [LABEL]?: string };

type Transformer = NonNullable<ClientOptions["callInvocationTransformer"]>;
type Channel = Parameters<Transformer>[0]["channel"];

const labels = shared("customLabels", () => new AsyncLocalStorage<string | undefined>());
/** The call that is being created, with the label in its call options. */
const creating = shared("creating", (): { label: string | undefined } => ({ label: undefined }));

/**
 * Returns call options that set the label `grpc.client.call.custom` of one call (gRFC A108). Plugins
 * record the label if their `optionalLabels` include it.
 *
 * @example
 * ```ts
 * client.UnaryEcho(request, customLabel("checkout"), callback);
 * ```
 *
 * @param label One of a few fixed values, never an id: each value creates its own series.
 * @param options Other call options, which stay as they are.
 */
export function customLabel(
  label: string,
  options: CallOptions = {},
): CallOptions {
  const labelled: LabelledOptions = { ...options, [LABEL]: label };
  return labelled;
}

/**
 * Sets the label `grpc.client.call.custom` of every call that `body` makes, synchronously or
 * asynchronously (gRFC A108). Use it for clients that do not pass call options on to grpc-js.
 *
 * @example
 * ```ts
 * await withCustomLabel("report", () => makeSomeCalls());
 * ```
 *
 * @param label One of a few fixed values, never an id: each value creates its own series.
 * @returns What `body` returns.
 */
export function withCustomLabel<T>(label: string, body: () => T): T {
  return runWithLabel(label, body);
}

/** Runs `body` with a label that {@link ambientLabel} returned. */
export function runWithLabel<T>(label: string | undefined, body: () => T): T {
  return labels.run(label, body);
}

/** Returns the label that {@link withCustomLabel} set for the code that is running. */
export function ambientLabel(): string | undefined {
  return labels.getStore();
}

/** Returns the label of the call that is being created, or `""` if it has none (gRFC A108). */
export function currentCustomLabel(): string {
  return creating.label ?? ambientLabel() ?? "";
}

/**
 * Returns a call transformer that reads the label from a call's options. Channels do not receive the
 * call options, so the channel cannot read it.
 *
 * @param transform The client's own transformer, if it has one.
 */
export function readingCallOptions(
  transform: Transformer = (call) => call,
): Transformer {
  return (given) => {
    const call = transform(given);
    const { [LABEL]: label } = call.callOptions as LabelledOptions;
    return label === undefined ? call : { ...call, channel: withLabel(call.channel, label) };
  };
}

/** Returns a stand-in for the channel that gives its calls the label. */
function withLabel(channel: Channel, label: string): Channel {
  return withMethods(channel, {
    createCall(...args) {
      const outer = creating.label;
      creating.label = label;
      try {
        return channel.createCall(...args);
      } finally {
        creating.label = outer;
      }
    },
  });
}
