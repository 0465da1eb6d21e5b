/**
 * Returns the plugin's filter of methods for `GRPC_METRICS_EXCLUDED_METHODS`.
 *
 * @param excluded Methods such as `package.Service/Method`, and services such as `package.Service/*`.
 * @returns Undefined if no methods are excluded.
 */
export function methodFilterOf(
  excluded: readonly string[] | undefined,
): ((method: string) => boolean) | undefined {
  if (excluded === undefined) return undefined;
  const patterns = new Set(excluded);
  return (method) => !patterns.has(method) && !patterns.has(method.replace(/[^/]*$/, "*"));
}
