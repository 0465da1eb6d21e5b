/** The values of `OTEL_TRACES_SAMPLER` (OpenTelemetry environment variable specification). */
export const SAMPLERS = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;
export type SamplerName = typeof SAMPLERS[number];

/** The values of `OTEL_PROPAGATORS` that there are here; `grpc-trace-bin` is gRFC A72's. */
export const PROPAGATORS = ["tracecontext", "baggage", "grpc-trace-bin", "none"] as const;
export type PropagatorName = typeof PROPAGATORS[number];
