import { isSpanContextValid, trace } from "@opentelemetry/api";
import type { Context, TextMapGetter, TextMapPropagator, TextMapSetter } from "@opentelemetry/api";

const HEADER = "grpc-trace-bin";
/** A version byte, then three numbered fields of fixed length: trace id, span id and flags. */
const LENGTH = 29;

/**
 * Propagates span contexts in the binary header `grpc-trace-bin`, for OpenCensus peers that do not
 * read the W3C header `traceparent` yet (gRFC A72). Carriers receive the value in Base64.
 *
 * @example
 * ```ts
 * const textMapPropagator = new CompositePropagator({
 *   propagators: [new W3CTraceContextPropagator(), new GrpcTraceBinPropagator()],
 * });
 * ```
 */
export class GrpcTraceBinPropagator implements TextMapPropagator {
  inject(context: Context, carrier: unknown, setter: TextMapSetter): void {
    const spanContext = trace.getSpanContext(context);
    if (spanContext === undefined || !isSpanContextValid(spanContext)) return;
    const bytes = Buffer.alloc(LENGTH);
    bytes.write(spanContext.traceId, 2, "hex");
    bytes[18] = 1;
    bytes.write(spanContext.spanId, 19, "hex");
    bytes[27] = 2;
    bytes[28] = spanContext.traceFlags;
    setter.set(carrier, HEADER, bytes.toString("base64"));
  }

  /** Ignores a value that is not a valid span context. */
  extract(context: Context, carrier: unknown, getter: TextMapGetter): Context {
    const value = getter.get(carrier, HEADER);
    const text = Array.isArray(value) ? value.at(-1) : value;
    const bytes = Buffer.from(text ?? "", "base64");
    const isWellFormed = bytes.length === LENGTH &&
      bytes[0] === 0 && bytes[1] === 0 && bytes[18] === 1 && bytes[27] === 2;
    if (!isWellFormed) return context;
    const spanContext = {
      traceId: bytes.toString("hex", 2, 18),
      spanId: bytes.toString("hex", 19, 27),
      traceFlags: bytes.readUInt8(28),
      isRemote: true,
    };
    return isSpanContextValid(spanContext) ? trace.setSpanContext(context, spanContext) : context;
  }

  fields(): string[] {
    return [HEADER];
  }
}
