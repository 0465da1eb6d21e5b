import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { GrpcOpenTelemetry, withCustomLabel } from "../../../plugin/mod.ts";
import { clientSeries, serverSeries } from "../../support/echo-pair.ts";
import { eventuallyEqual } from "../../support/eventually.ts";
import { Recording } from "../../support/series.ts";
import { googleGax } from "./google-gax.ts";
import type { Calls, Kit } from "./kit.ts";
import { nestjs } from "./nestjs.ts";
import { niceGrpc } from "./nice-grpc.ts";
import { protoLoader } from "./proto-loader.ts";
import { protobufTs } from "./protobuf-ts.ts";
import { tsProto } from "./ts-proto.ts";

const KITS: Readonly<Record<string, Kit>> = {
  "proto-loader": protoLoader,
  "ts-proto": tsProto,
  "protobuf-ts": protobufTs,
  "nice-grpc": niceGrpc,
  "NestJS": nestjs,
  "google-gax": googleGax,
};
const CUSTOM = "grpc.client.call.custom";

interface Pair {
  readonly calls: Calls;
  readonly port: number;
  readonly recording: Recording;
}

async function withPair(
  kit: Kit,
  optionalLabels: readonly string[],
  body: (pair: Pair) => Promise<void>,
): Promise<void> {
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({ meterProvider: recording.meterProvider, optionalLabels });
  const { port, stop } = await kit.serve(otel, "127.0.0.1:0");
  const calls = kit.connect(otel, `localhost:${port}`);
  try {
    await body({ calls, port, recording });
  } finally {
    calls.close();
    stop();
  }
}

/** Makes a call of each kind. */
async function callAll(calls: Calls): Promise<void> {
  assert.equal(await calls.unary("hello"), "hello");
  assert.deepEqual(await calls.serverStreaming("hello"), ["hello", "hello"]);
  assert.equal(await calls.clientStreaming(["a", "bb", "ccc"]), "ccc");
  assert.deepEqual(await calls.bidirectionalStreaming(["a", "bb"]), ["a", "bb"]);
}

const CLIENT_SERIES = {
  ...clientSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
  ...clientSeries("ServerStreamingEcho", "OK", { sent: 7, received: 14 }),
  ...clientSeries("ClientStreamingEcho", "OK", { sent: 12, received: 5 }),
  ...clientSeries("BidirectionalStreamingEcho", "OK", { sent: 7, received: 7 }),
};
const SERVER_SERIES = {
  ...serverSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
  ...serverSeries("ServerStreamingEcho", "OK", { sent: 14, received: 7 }),
  ...serverSeries("ClientStreamingEcho", "OK", { sent: 5, received: 12 }),
  ...serverSeries("BidirectionalStreamingEcho", "OK", { sent: 7, received: 7 }),
};

/** Adds the custom label to series. */
function labelled(series: Record<string, string>, label: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(series)
      .map(([name, value]) => [name.replace("{", `{client.call.custom=${label},`), value]),
  );
}

for (const [name, kit] of Object.entries(KITS)) {
  test(`${name}: a call of each kind`, () =>
    withPair(kit, [], async ({ calls, recording }) => {
      await callAll(calls);
      await eventuallyEqual(() => recording.series(), { ...CLIENT_SERIES, ...SERVER_SERIES });
    }));

  test(`${name}: a call that fails`, () =>
    withPair(kit, [], async ({ calls, recording }) => {
      await assert.rejects(calls.unary("fail"));
      await eventuallyEqual(() => recording.series(), {
        ...clientSeries("UnaryEcho", "FAILED_PRECONDITION", { sent: 6, received: 0 }),
        ...serverSeries("UnaryEcho", "FAILED_PRECONDITION", { sent: 0, received: 6 }),
      });
    }));

  test(`${name}: a method that the server does not have`, () =>
    withPair(kit, [], async ({ port, recording }) => {
      const client = new grpc.Client(`localhost:${port}`, grpc.credentials.createInsecure());
      const none = () => Buffer.alloc(0);
      const error = await new Promise<grpc.ServiceError | null>((resolve) => {
        client.makeUnaryRequest("/grpc.examples.echo.Echo/Missing", none, none, {}, resolve);
      });
      assert.equal(error?.code, grpc.status.UNIMPLEMENTED);
      client.close();
      await eventuallyEqual(
        () => recording.series(),
        serverSeries("other", "UNIMPLEMENTED", { sent: 0, received: 0 }),
      );
    }));

  test(`${name}: the custom label of all calls that a function makes`, () =>
    withPair(kit, [CUSTOM], async ({ calls, recording }) => {
      await withCustomLabel("report", () => callAll(calls));
      await eventuallyEqual(() => recording.series(), {
        ...labelled(CLIENT_SERIES, "report"),
        ...SERVER_SERIES,
      });
    }));

  // nice-grpc and google-gax pass no call options on to grpc-js.
  if (kit === niceGrpc || kit === googleGax) continue;
  test(`${name}: the custom label of a call's options`, () =>
    withPair(kit, [CUSTOM], async ({ calls, recording }) => {
      assert.equal(await calls.labelled!("hello", "checkout"), "hello");
      await eventuallyEqual(() => recording.series(), {
        ...labelled(
          clientSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
          "checkout",
        ),
        ...serverSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
      });
    }));
}
