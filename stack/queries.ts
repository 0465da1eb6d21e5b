import { isHealthy } from "./service.ts";

/** The codelab's two queries: the median latency of attempts, and attempts by latency bucket. */
export const CODELAB_QUERIES = [
  "histogram_quantile(0.5, rate(grpc_client_attempt_duration_seconds_bucket[1m]))",
  "increase(grpc_client_attempt_duration_seconds_bucket[1m])",
] as const;

/**
 * Returns the URL of the Prometheus page that draws a query over the last 5 minutes.
 *
 * @param prometheus The URL of Prometheus, without a slash at the end.
 */
export function graphUrl(prometheus: string, query: string): string {
  const parameters = new URLSearchParams({
    "g0.expr": query,
    "g0.tab": "0",
    "g0.range_input": "5m",
  });
  // Not every version's page decodes "+" as a space.
  return `${prometheus}/graph?${`${parameters}`.replaceAll("+", "%20")}`;
}

/**
 * Returns the URL of a query's result of this moment, as JSON.
 *
 * @param server The URL of Prometheus or VictoriaMetrics, without a slash at the end.
 */
export function resultUrl(server: string, query: string): string {
  return `${server}/api/v1/query?${new URLSearchParams({ query })}`;
}

/**
 * Returns the URL that shows the scrape targets: a page, or JSON from a Prometheus without pages.
 *
 * @param prometheus The URL of Prometheus, without a slash at the end.
 */
export async function targetsUrl(prometheus: string): Promise<string> {
  // Debian's Prometheus 2 has the classic pages only.
  for (const page of ["/targets", "/classic/targets"]) {
    if (await isHealthy(`${prometheus}${page}`)) return `${prometheus}${page}`;
  }
  return `${prometheus}/api/v1/targets`;
}

/**
 * Returns whether a query has a result; false also when the server does not answer.
 *
 * @param server The URL of Prometheus or VictoriaMetrics, without a slash at the end.
 */
export async function hasData(server: string, query: string): Promise<boolean> {
  try {
    const response = await fetch(resultUrl(server, query));
    const { data } = await response.json() as { data: { result: unknown[] } };
    return data.result.length > 0;
  } catch {
    return false;
  }
}
