/** Every label that is recorded only where it is asked for, and the gRFC that defines it. */
const OPTIONAL_LABELS = [
  "grpc.client.call.custom", // A108
  "grpc.lb.locality", // A78
  "grpc.lb.backend_service", // A89
  "grpc.disconnect_error", // A94
  "grpc.security_level", // A94
] as const;

export type OptionalLabel = typeof OPTIONAL_LABELS[number];

/**
 * The labels to record besides those that every gRPC metric has.
 *
 * @throws {RangeError} for a name that is no optional label of this plugin; the message lists those
 * that are.
 */
export function selectOptionalLabels(
  names: readonly string[],
): ReadonlySet<OptionalLabel> {
  const known: readonly string[] = OPTIONAL_LABELS;
  for (const name of names) {
    if (!known.includes(name)) {
      throw new RangeError(
        `optionalLabels: "${name}" is not an optional label of this plugin; ` +
          `known are ${known.join(", ")}`,
      );
    }
  }
  return new Set(names as readonly OptionalLabel[]);
}
