/**
 * Control planes and their clients. These tests run in a copy of the project next to the packages of
 * `package.json`, see `xds.test.ts`.
 *
 * @module
 */
import type * as grpc from "@grpc/grpc-js";
import grpcJs from "@grpc/grpc-js/package.json" with { type: "json" };
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import type { Owner } from "../support/script.ts";
import { ControlPlane } from "./control-plane.ts";
import type { Resource } from "./resources.ts";

/** What these tests use of the package, which the project itself does not have. */
interface Xds {
  register(): void;
  readonly XdsServer: new (options?: grpc.ServerOptions) => grpc.Server;
}

// The package reads these variables when it is loaded.
process.env["GRPC_EXPERIMENTAL_XDS_WRR_LB"] = "true";
process.env["GRPC_EXPERIMENTAL_XDS_FEDERATION"] = "true";
export const xds = createRequire(import.meta.url)("@grpc/grpc-js-xds") as Xds;
xds.register();

/** The minor version of grpc-js 1, which is that of the package too. */
export const GRPC_JS_MINOR = Number(grpcJs.version.split(".")[1]);

/** The program of the control plane. */
const PROGRAM = process.env["XDS_CONTROL_PLANE"] ?? "";

/** Starts a control plane. */
export function startControlPlane(
  owner: Owner,
  resources: readonly Resource[],
): Promise<ControlPlane> {
  assert.notEqual(PROGRAM, "", "XDS_CONTROL_PLANE is not set; run test/xds/xds.test.ts");
  return ControlPlane.start(owner, PROGRAM, resources);
}

/** The option of a channel or server that has an xDS client of its own. Others share one. */
export function ownXdsClient(plane: { readonly bootstrap: string }): Record<string, string> {
  return { "grpc.TEST_ONLY_DO_NOT_USE_IN_PROD.xds_bootstrap_config": plane.bootstrap };
}
