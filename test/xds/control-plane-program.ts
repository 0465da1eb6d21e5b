import { fileURLToPath } from "node:url";
import { builtGoFolder } from "../support/go-folder.ts";

/**
 * Builds the control plane if needed. Prints the reason and returns undefined if it cannot.
 *
 * @returns The path of the program.
 */
export function controlPlaneProgram(): Promise<string | undefined> {
  return builtGoFolder({
    title: "The xDS control plane",
    name: "xds-control-plane",
    sources: fileURLToPath(new URL("control-plane", import.meta.url)),
  });
}
