import { isSpanContextValid, trace } from "@opentelemetry/api";
import type { Context, TextMapGetter, TextMapPropagator, TextMapSetter } from "@opentelemetry/api";

const HEADER = "grpc-trace-bin";
/** A version, then three fields of a number and a fixed length: trace id, span id, flags. */
const LENGTH = 29;

/**
 * Propagates span contexts in the binary header `grpc-trace-bin`, as OpenCensus does, for peers that
 * do not read W3C's `traceparent` yet (gRFC A72). The value that carriers are given is Base64.
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

  /** What is no valid span context is ignored. */
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
