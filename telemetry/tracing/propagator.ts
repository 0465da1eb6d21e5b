import type { TextMapPropagator } from "@opentelemetry/api";
import {
  CompositePropagator,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";
import { GrpcTraceBinPropagator } from "../../plugin/mod.ts";
import type { PropagatorName } from "../settings/variables.ts";

/** Creates one propagator of several names; of `none` alone, one that does nothing. */
export function createPropagator(names: readonly PropagatorName[]): TextMapPropagator {
  const propagators = {
    "tracecontext": () => [new W3CTraceContextPropagator()],
    "baggage": () => [new W3CBaggagePropagator()],
    "grpc-trace-bin": () => [new GrpcTraceBinPropagator()],
    "none": () => [],
  };
  return new CompositePropagator({ propagators: names.flatMap((name) => propagators[name]()) });
}
