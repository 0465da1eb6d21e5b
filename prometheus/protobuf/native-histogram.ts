/**
 * Turns exponential histograms of OpenTelemetry into native histograms of Prometheus.
 *
 * @see https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#exponential-histograms
 * @module
 */
import type { ExponentialHistogram } from "@opentelemetry/sdk-metrics";

/** The finest schema of native histograms. Scales above it are reduced. */
const FINEST_SCHEMA = 8;

/**
 * The largest number of empty buckets inside a span, as in client_golang: a delta of zero takes less
 * space than a new span.
 */
const LONGEST_GAP = 2;

/** Buckets that follow each other, and the number of empty ones before them. */
export interface BucketSpan {
  /** The first bucket's index in the first span, and the number of buckets left out in the others. */
  readonly offset: number;
  length: number;
}

/** The buckets of one sign, as spans and as differences from one count to the next. */
export interface SparseBuckets {
  readonly spans: readonly BucketSpan[];
  readonly deltas: readonly number[];
}

/** A histogram whose bucket bounds are powers of `2 ** (2 ** -schema)`. */
export interface NativeHistogram {
  readonly schema: number;
  readonly positive: SparseBuckets;
  readonly negative: SparseBuckets;
}

/**
 * Converts an exponential histogram with a scale of -4 or more.
 *
 * A bucket of OpenTelemetry excludes its lower bound and includes its upper one. Its index is that of
 * its lower bound, and Prometheus' that of the upper one, so each index grows by one.
 */
export function nativeHistogram(
  { scale, positive, negative }: ExponentialHistogram,
): NativeHistogram {
  const shift = Math.max(0, scale - FINEST_SCHEMA);
  return {
    schema: scale - shift,
    positive: sparse(positive, shift),
    negative: sparse(negative, shift),
  };
}

/** @param shift halves the resolution of the buckets so many times */
function sparse(
  { offset, bucketCounts }: ExponentialHistogram["positive"],
  shift: number,
): SparseBuckets {
  const spans: BucketSpan[] = [];
  const deltas: number[] = [];
  /** The index after the last bucket that is written. */
  let next = 0;
  let previous = 0;

  function add(index: number, count: number): void {
    const span = spans.at(-1);
    const gap = index - next;
    if (span === undefined || gap > LONGEST_GAP) spans.push({ offset: gap, length: 1 });
    else {
      for (let empty = 0; empty < gap; empty++) {
        deltas.push(-previous);
        previous = 0;
      }
      span.length += gap + 1;
    }
    deltas.push(count - previous);
    previous = count;
    next = index + 1;
  }

  for (let i = 0; i < bucketCounts.length;) {
    const index = (offset + i) >> shift;
    let count = 0;
    for (; i < bucketCounts.length && (offset + i) >> shift === index; i++) {
      count += bucketCounts[i]!;
    }
    if (count > 0) add(index + 1, count);
  }
  return { spans, deltas };
}
