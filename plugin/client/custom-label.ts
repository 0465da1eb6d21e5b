import type { CallOptions, ClientOptions } from "@grpc/grpc-js";
import { AsyncLocalStorage } from "node:async_hooks";

/** A symbol survives the copies that clients make of call options, and meets no name of theirs. */
const LABEL = Symbol("grpc.client.call.custom");

/** Call options with the key of this file. */
type LabelledOptions = CallOptions & { [LABEL]?: string };

type Transformer = NonNullable<ClientOptions["callInvocationTransformer"]>;
type Channel = Parameters<Transformer>[0]["channel"];

const labels = new AsyncLocalStorage<string>();
/** The label of the call that is being created from call options. */
let labelOfOptions: string | undefined;

/**
 * Call options that set the label `grpc.client.call.custom` of one call (gRFC A108). It is recorded
 * by plugins whose `optionalLabels` name it.
 *
 * @param label Each value makes series of its own: one of a few, never an id.
 * @param options Call options to keep.
 */
export function customLabel(
  label: string,
  options: CallOptions = {},
): CallOptions {
  const labelled: LabelledOptions = { ...options, [LABEL]: label };
  return labelled;
}

/**
 * Sets the label `grpc.client.call.custom` of every call that `body` makes (gRFC A108), also after it
 * waited for something. For clients that do not pass call options on to grpc-js as they are.
 *
 * @param label Each value makes series of its own: one of a few, never an id.
 * @returns What `body` returns.
 */
export function withCustomLabel<T>(label: string, body: () => T): T {
  return labels.run(label, body);
}

/** The label of the call that is being created; empty unless the application set one (gRFC A108). */
export function currentCustomLabel(): string {
  return labelOfOptions ?? labels.getStore() ?? "";
}

/**
 * Makes a client's calls take their label from their call options, which no channel gets to see.
 *
 * @param transform The client's own transformer of calls, if it has one.
 */
export function readingCallOptions(
  transform: Transformer = (call) => call,
): Transformer {
  return (given) => {
    const call = transform(given);
    const { [LABEL]: label } = call.callOptions as LabelledOptions;
    return label === undefined ? call : { ...call, channel: labelling(call.channel, label) };
  };
}

/** The same channel, whose calls have a label. */
function labelling(channel: Channel, label: string): Channel {
  return Object.create(channel, {
    createCall: {
      value(...args: Parameters<Channel["createCall"]>) {
        const outer = labelOfOptions;
        labelOfOptions = label;
        try {
          return channel.createCall(...args);
        } finally {
          labelOfOptions = outer;
        }
      },
    },
  }) as Channel;
}
