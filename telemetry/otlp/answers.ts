/**
 * The boundary to the stock OTLP exporters: it reads what the receiver answered. The exporters count
 * any answer with status 200 as success, and log an answer that is no OTLP with a stack, at every
 * export.
 *
 * @module
 */
import { type ExportResult, ExportResultCode } from "@opentelemetry/core";
import { oneLine } from "../../log/thrown-text.ts";

/** The result of an export, with what the receiver said about data that it took. */
export interface Answer extends ExportResult {
  readonly partialSuccess?: PartialSuccess;
}

/** Part of an answer that reports rejected data, or warns (OTLP specification, partial success). */
export interface PartialSuccess {
  /** The number of rejected data points or spans; 0 with a warning. */
  readonly rejected: number;
  readonly message: string;
}

/** The receiver answered that all is well, but not in OTLP: it is a proxy or another server. */
export class NoOtlpError extends Error {}

/** How much of a foreign answer is shown, in UTF-16 code units: enough to tell a page from a text. */
const SHOWN = 20;

/** The private part of the stock exporters that turns messages into bytes and back. */
interface Serializer {
  serializeRequest(exported: unknown): Uint8Array | undefined;
  deserializeResponse(data: Uint8Array): unknown;
}

interface StockExporter {
  export(exported: unknown, done: (result: ExportResult) => void): void;
}

/**
 * Makes a stock exporter pass on the receiver's answers: a {@link NoOtlpError} for one that is no
 * OTLP, and an {@link Answer}. Changes nothing if the exporter does not have the expected shape.
 *
 * @param isJson whether answers are in JSON
 * @returns the same exporter
 */
export function withAnswers<T extends object>(stock: T, isJson: boolean): T {
  const exporter = stock as T & StockExporter & { _delegate?: { _serializer?: Serializer } };
  const delegate = exporter._delegate;
  const serializer = delegate?._serializer;
  if (delegate === undefined || typeof serializer?.deserializeResponse !== "function") return stock;
  // The exporter reads an answer and calls back at once, so this is the answer of that export.
  let answer: Answer | undefined;
  delegate._serializer = {
    serializeRequest: (exported) => serializer.serializeRequest(exported),
    deserializeResponse(data) {
      const parse = isJson ? parseJson : (data: Uint8Array) => parseProtobuf(data, serializer);
      answer = read(data, parse);
      return {};
    },
  };
  const send = exporter.export.bind(exporter);
  exporter.export = (exported, done) =>
    send(exported, (result) => {
      const given = answer;
      answer = undefined;
      done(result.code === ExportResultCode.SUCCESS ? given ?? result : result);
    });
  return stock;
}

function read(data: Uint8Array, parse: (data: Uint8Array) => unknown): Answer {
  // An empty message has no bytes in protobuf, and some receivers send no bytes for `{}` too.
  if (data.length === 0) return { code: ExportResultCode.SUCCESS };
  // Some receivers answer protobuf in JSON.
  const message = attempt(parse, data) ?? attempt(parseJson, data);
  if (message === undefined) {
    const text = oneLine(new TextDecoder().decode(data.subarray(0, 4 * SHOWN)), SHOWN);
    const error = new NoOtlpError(`it answered with something that is no OTLP: ${text}`);
    return { code: ExportResultCode.FAILED, error };
  }
  const { partialSuccess } = message;
  if (!partialSuccess) return { code: ExportResultCode.SUCCESS };
  const { rejectedDataPoints, rejectedSpans, errorMessage } = partialSuccess;
  return {
    code: ExportResultCode.SUCCESS,
    partialSuccess: {
      rejected: Number(rejectedDataPoints ?? rejectedSpans ?? 0) || 0,
      message: typeof errorMessage === "string" ? errorMessage : "",
    },
  };
}

/** An OTLP response. In JSON, 64-bit numbers are texts. */
interface Message {
  readonly partialSuccess?: {
    readonly rejectedDataPoints?: number | string;
    readonly rejectedSpans?: number | string;
    readonly errorMessage?: unknown;
  } | null;
}

/** Returns undefined if the data is no OTLP response. */
function attempt(parse: (data: Uint8Array) => unknown, data: Uint8Array): Message | undefined {
  try {
    const message = parse(data);
    return isMessage(message) ? message : undefined;
  } catch {
    return undefined;
  }
}

function isMessage(message: unknown): message is Message {
  if (typeof message !== "object" || message === null || Array.isArray(message)) return false;
  const { partialSuccess } = message as Message;
  if (typeof partialSuccess === "object") return true;
  return Object.keys(message).length === 0;
}

/** Returns undefined if there is no field of OTLP: a text can be valid protobuf by chance. */
function parseProtobuf(data: Uint8Array, serializer: Serializer): unknown {
  const message = serializer.deserializeResponse(data) as Message;
  return message.partialSuccess === undefined ? undefined : message;
}

function parseJson(data: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(data));
}
