import { isPromise } from "node:util/types";
import { OTHER } from "./per-method.ts";
import { onRejection } from "../../log/rejection.ts";
import { warnOfThrown } from "../warning.ts";

/** An option that decides whether a label shows a value. */
export type AttributeFilterName = "methodAttributeFilter" | "targetAttributeFilter";

/**
 * Makes what gives the label of a value: the value itself, or `other` if the application's filter
 * hides it. A filter that throws or returns a promise hides the value, with one warning: a mistake
 * must neither lose metrics nor show what was to be hidden.
 *
 * @param filter Without one, every value is shown.
 */
export function filteredLabel(
  name: AttributeFilterName,
  filter: ((value: string) => boolean) | undefined,
): (value: string) => string {
  if (filter === undefined) return (value) => value;
  return (value) => {
    try {
      const isShown: unknown = filter(value);
      if (isPromise(isShown)) {
        onRejection(isShown, () => {});
        throw new TypeError("it returned a promise, return true or false instead");
      }
      return isShown ? value : OTHER;
    } catch (error) {
      warnOfThrown(`gRPC metrics have the label "${OTHER}", because ${name} fails`, error);
      return OTHER;
    }
  };
}
