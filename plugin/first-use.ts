import { globalState } from "./global-state.ts";
import type { Registration } from "./global-state.ts";
import { shielded } from "./warning.ts";

/** A method of a class of grpc-js. */
export type Method = (this: object, ...args: unknown[]) => unknown;

/** The methods of a prototype. Not all versions of grpc-js have the same ones. */
export type Methods = Record<string, Method | undefined>;

/**
 * Wraps a method of all instances of a class, so that an instance is hooked before its first use.
 * Does nothing while no plugin is registered.
 *
 * @param isFirst Returns whether this is the first use of the instance, from the method's first
 * argument. Must not throw.
 * @param use Hooks the instance.
 */
export function wrapUse(
  methods: Methods,
  name: string,
  isFirst: (registration: Registration, instance: object, argument: unknown) => boolean,
  use: (registration: Registration, instance: object) => void,
): void {
  const original = methods[name];
  if (typeof original !== "function") return;
  function wrapper(this: object, ...args: unknown[]): unknown;
  // `arguments` is faster to pass on than a rest parameter.
  function wrapper(this: object, argument?: unknown): unknown {
    const args = arguments as unknown as unknown[];
    const { registration } = globalState;
    if (registration === undefined || !isFirst(registration, this, argument)) {
      return original!.apply(this, args);
    }
    const called = (this as Methods)[name];
    shielded(() => use(registration, this));
    const hooked = (this as Methods)[name];
    // Without known private parts, the hook is a method of the instance. It must see this call too.
    const isHook = called === wrapper && typeof hooked === "function" && hooked !== wrapper;
    return (isHook ? hooked : original!).apply(this, args);
  }
  // Others that wrap methods keep their state in properties of the function.
  Object.defineProperties(wrapper, Object.getOwnPropertyDescriptors(original));
  methods[name] = wrapper;
}
