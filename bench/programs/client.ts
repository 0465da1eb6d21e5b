/**
 * A client that makes load over one channel:
 * `client.ts PORT bare|plugin|global|everything|spans|traced|unsampled [METHODS]`.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { echoService, unaryCalls } from "./echo.ts";
import { serveLoad } from "./load.ts";
import { createVariant } from "./telemetry.ts";

const [port = "", variant, methods = "1"] = process.argv.slice(2);
const { plugin, recorded } = createVariant(variant);
const service = echoService(Number(methods));
serveLoad(unaryCalls(grpc, port, plugin.clientOptions(), service), recorded);
