/**
 * A live page of gRPC metrics for the endpoint of `prometheus/`: calls, errors, durations and bytes of
 * each method, with a curve of the last minutes.
 *
 * ```ts
 * await startScrapeEndpoint({ reader, host: "127.0.0.1", port: 9464, page: grpcPage() });
 * ```
 *
 * @module
 */

import type { MetricsPage } from "../../prometheus/page.ts";
import { documentOf, HEADERS } from "./document.ts";
import { FAMILIES, MetricsReader } from "./reader.ts";

/**
 * Returns the live page. Its script reads `/metrics` every two seconds while the page is visible;
 * otherwise it costs nothing. Without JavaScript it shows the totals at the time of the request.
 */
export function grpcPage(): MetricsPage {
  return {
    families: FAMILIES,
    headers: HEADERS,
    async render(text) {
      const reader = new MetricsReader();
      for await (const slice of text) reader.add(slice);
      return documentOf(reader.end(0));
    },
  };
}
