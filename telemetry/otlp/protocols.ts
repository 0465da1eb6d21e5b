/** The values of `OTEL_EXPORTER_OTLP_PROTOCOL` (OTLP exporter specification). */
export const OTLP_PROTOCOLS = ["http/json", "http/protobuf", "grpc"] as const;
export type OtlpProtocol = typeof OTLP_PROTOCOLS[number];
