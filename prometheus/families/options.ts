import type { TranslationOptions } from "./translation.ts";

/**
 * Options of what is shown, for an endpoint and for single texts. Names and meanings are those of
 * OpenTelemetry's specification; `namespace` is that of its Go exporter.
 *
 * @see https://opentelemetry.io/docs/specs/otel/metrics/sdk_exporters/prometheus/#configuration
 */
export interface ExpositionOptions extends TranslationOptions {
  /** Whether to leave out `target_info`, which has the attributes of the resource. */
  readonly withoutTargetInfo?: boolean | undefined;
  /** Whether to leave out the labels `otel_scope_name`, `otel_scope_version` and so on. */
  readonly withoutScopeInfo?: boolean | undefined;
  /**
   * The resource attributes to show as labels of every series, by their keys, for example
   * `/^service\./`. `target_info` has them too. By default, no series has them.
   */
  readonly withResourceConstantLabels?: RegExp | undefined;
}
