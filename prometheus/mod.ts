/**
 * A Prometheus exporter for the OpenTelemetry SDK: serves metrics over HTTP, in the formats of Go's
 * OpenTelemetry Prometheus exporter.
 *
 * ```ts
 * const reader = new PrometheusReader();
 * const meterProvider = new MeterProvider({ readers: [reader] });
 * const endpoint = await startScrapeEndpoint({ reader, host: "127.0.0.1", port: 9464 });
 * console.log(endpoint.url);
 * ```
 *
 * @module
 */

export type { AuthenticationFiles } from "./authentication.ts";
export {
  type ScrapeEndpoint,
  type ScrapeEndpointOptions,
  type ScrapeEndpointTls,
  startScrapeEndpoint,
} from "./endpoint.ts";
export type { ExpositionOptions } from "./families/options.ts";
export type { TranslationOptions, TranslationStrategy } from "./families/translation.ts";
export { renderProtobuf } from "./protobuf/render.ts";
export type { MetricsPage } from "./page.ts";
export { PrometheusReader } from "./reader.ts";
export { renderOpenMetrics, renderPrometheusText } from "./text/render.ts";
