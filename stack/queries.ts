/** The two queries of the codelab: the median latency, and how many attempts took how long. */
export const CODELAB_QUERIES = [
  "histogram_quantile(0.5, rate(grpc_client_attempt_duration_seconds_bucket[1m]))",
  "increase(grpc_client_attempt_duration_seconds_bucket[1m])",
] as const;

/**
 * The page of Prometheus that draws a query, for the last 5 minutes.
 *
 * @param prometheus Its URL, without a slash at the end.
 */
export function graphUrl(prometheus: string, query: string): string {
  const parameters = new URLSearchParams({
    "g0.expr": query,
    "g0.tab": "0",
    "g0.range_input": "5m",
  });
  // Not every version's page knows that "+" is a blank.
  return `${prometheus}/graph?${`${parameters}`.replaceAll("+", "%20")}`;
}

/**
 * Tells whether a query has a result by now; also no when Prometheus does not answer.
 *
 * @param prometheus Its URL, without a slash at the end.
 */
export async function hasData(prometheus: string, query: string): Promise<boolean> {
  try {
    const response = await fetch(`${prometheus}/api/v1/query?${new URLSearchParams({ query })}`);
    const { data } = await response.json() as { data: { result: unknown[] } };
    return data.result.length > 0;
  } catch {
    return false;
  }
}
