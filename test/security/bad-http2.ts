import type { Random } from "../support/random.ts";
import type { BadInput } from "./attack.ts";
import {
  data,
  FLAG,
  frame,
  goAway,
  grpcHeaders,
  grpcMessage,
  headerBlock,
  headers,
  number32,
  ping,
  PREFACE,
  reset,
  settings,
  TYPE,
  TYPE_OFFSET,
  windowUpdate,
} from "./http2-frames.ts";
import type { Header } from "./http2-frames.ts";

/** The methods that bad inputs call. Good calls use other methods, so that they can be counted. */
const CALLED = [
  "/grpc.examples.echo.Echo/UnaryEcho",
  "/grpc.examples.echo.Echo/ClientStreamingEcho",
  "/grpc.examples.echo.Echo/BidirectionalStreamingEcho",
  "/grpc.health.v1.Health/Check",
  "/no.Such/Method",
] as const;

/** `EchoRequest` with a message of one letter. */
const ECHO_REQUEST = Buffer.from([0x0a, 0x01, 0x61]);

/** A client's preface and settings, followed by frames. */
function session(...frames: readonly Buffer[]): Buffer {
  return Buffer.concat([PREFACE, settings(), ...frames]);
}

/** Concatenates a random number of items. */
function several(random: Random, most: number, make: (i: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: random.between(1, most) }, (_, i) => make(i)));
}

function open(random: Random, stream = 1, ...further: Header[]): Buffer {
  return headers(stream, headerBlock(grpcHeaders(random.of(CALLED), ...further)));
}

/** A valid call. */
function call(random: Random, stream: number): Buffer {
  return Buffer.concat([
    open(random, stream),
    data(stream, grpcMessage(ECHO_REQUEST), FLAG.endStream),
  ]);
}

/** A number of 31 bits, mostly small or near a limit. */
function number31(random: Random): number {
  return random.of([0, 1, 2, 3, 65_535, 2 ** 31 - 1, random.between(0, 2 ** 31 - 1)]);
}

function text(random: Random, most: number): string {
  return random.bytes(random.between(0, most)).toString("latin1");
}

function junkPath(random: Random): string {
  return random.of([
    () => text(random, 60),
    () => `/${text(random, 60)}`,
    () => `/junk.Service${random.between(0, 2 ** 32)}/Method`,
    () => "/".repeat(random.between(0, 300)),
    () => `${random.of(CALLED)}${random.of(["/", "?", "#", "%00", " ", "\0", "\n"])}`,
    () => `//${random.of(CALLED)}`,
    () => random.of(["*", "", "/__proto__", "/constructor", "/other", "/../..", "toString"]),
    () => `/${"x".repeat(random.between(1, 20_000))}/y`,
  ])();
}

/** Makers of bad HTTP/2 input, by kind. */
export const BAD_HTTP2: Readonly<Record<string, BadInput>> = {
  "bad preface": (random) => {
    const flipped = Buffer.from(PREFACE);
    flipped[random.between(0, PREFACE.length - 1)]! ^= random.between(1, 255);
    return random.of([
      () => random.bytes(random.between(1, 2000)),
      () => PREFACE.subarray(0, random.between(1, PREFACE.length - 1)),
      () => Buffer.concat([flipped, settings(), call(random, 1)]),
      () => Buffer.from("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"),
      () => Buffer.from("POST / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
      () => Buffer.concat([Buffer.from([22, 3, 1, 2, 0, 1]), random.bytes(512)]),
    ])();
  },

  "random bytes": (random) =>
    Buffer.concat([PREFACE, settings(), random.bytes(random.between(1, 4000))]),

  "random frames": (random) =>
    session(several(random, 20, () =>
      frame(
        random.between(0, 12),
        random.between(0, 255),
        random.of([0, 1, 2, 3, 5, number31(random)]),
        random.bytes(random.between(0, 100)),
      ))),

  "wrong lengths": (random) =>
    session(
      open(random),
      frame(
        random.between(0, 9),
        random.of([0, FLAG.endHeaders, FLAG.endStream, FLAG.padded]),
        random.of([0, 1]),
        random.bytes(random.between(0, 40)),
        random.between(0, 2 ** 24 - 1),
      ),
      call(random, 3),
    ),

  "one bit of a good session is wrong": (random) => {
    const calls = [call(random, 1), call(random, 3)];
    const bytes = session(...calls, ping(), call(random, 5));
    for (let i = random.between(1, 4); i > 0; i--) {
      const position = random.between(PREFACE.length, bytes.length - 1);
      bytes[position]! ^= 1 << random.between(0, 7);
    }
    // If a frame after a GOAWAY breaks the rules, Node keeps the session and its calls open for good,
    // also without the plugin. No event says so.
    const pingType = session(...calls).length + TYPE_OFFSET;
    if (bytes[pingType] === TYPE.goAway) bytes[pingType] = TYPE.ping;
    return bytes;
  },

  "CONTINUATION flood": (random) =>
    session(
      frame(TYPE.headers, 0, 1, headerBlock(grpcHeaders(random.of(CALLED)))),
      several(random, 2000, () =>
        frame(
          TYPE.continuation,
          0,
          1,
          random.of([Buffer.alloc(0), headerBlock([[`x-${text(random, 3)}`, "x"]])]),
        )),
    ),

  "rapid reset": (random) =>
    session(several(random, 200, (i) => {
      const stream = 2 * i + 1;
      const opened = random.next() < 0.5 ? open(random, stream) : call(random, stream);
      return Buffer.concat([opened, reset(stream, random.of([8, 0, number31(random)]))]);
    })),

  "oversized headers": (random) =>
    session(
      open(random, 1, ["x-big", "x".repeat(random.between(8000, 1_000_000))]),
      headers(3, headerBlock(Array.from({ length: 3000 }, (_, i) => [`x-${i}`, "x"]))),
    ),

  "HPACK tricks": (random) =>
    session(frame(
      TYPE.headers,
      FLAG.endHeaders,
      1,
      Buffer.concat([
        random.of([
          Buffer.from([0x80]),
          Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
          Buffer.from([0x3f, 0xff, 0xff, 0xff, 0x7f]),
          Buffer.from([0x40, 0x7f, 0xff, 0xff, 0xff, 0x7f]),
          // An entry of 4 kB in the dynamic table, referenced 8000 times.
          Buffer.concat([
            Buffer.from([0x40, 1, 0x78, 0x7f, 0xa1, 0x1e]),
            Buffer.alloc(4000, "x"),
            Buffer.alloc(8000, 0xbe),
          ]),
          random.bytes(200),
        ]),
        headerBlock(grpcHeaders(random.of(CALLED))),
      ]),
    )),

  "oversized messages": (random) =>
    session(
      open(random),
      random.next() < 0.02
        ? data(1, grpcMessage(Buffer.alloc(5_000_000)), FLAG.endStream)
        : data(1, grpcMessage(Buffer.alloc(30_000), 0, random.between(4_194_305, 2 ** 32 - 1))),
    ),

  "window tricks": (random) =>
    session(
      random.of([
        settings(4, 2 ** 31),
        settings(4, 0),
        settings(4, 2 ** 31 - 1),
        windowUpdate(0, 0),
        windowUpdate(0, 2 ** 31 - 1),
        windowUpdate(7, number31(random)),
        settings(5, random.between(0, 2 ** 24)),
      ]),
      call(random, 1),
      windowUpdate(1, number31(random)),
      windowUpdate(1, number31(random)),
      call(random, 3),
    ),

  "SETTINGS flood": (random) =>
    session(
      several(random, 2000, () => settings(random.between(0, 10), number31(random))),
      call(random, 1),
    ),

  "empty DATA flood": (random) =>
    session(open(random), several(random, 2000, () => data(1, Buffer.alloc(0)))),

  "PRIORITY flood": (random) =>
    session(
      several(random, 2000, (i) =>
        frame(
          TYPE.priority,
          0,
          random.of([1, 2 * i + 1]),
          Buffer.concat([number32(number31(random)), random.bytes(1)]),
        )),
      call(random, 1),
    ),

  // CVE-2025-8671: the server resets each stream, so that the limit of open streams has no effect.
  "resets that the server is made to send": (random) =>
    session(several(random, 200, (i) => {
      const stream = 2 * i + 1;
      const provoked = random.of([
        windowUpdate(stream, 0),
        windowUpdate(stream, 2 ** 31 - 1),
        frame(TYPE.priority, 0, stream, random.bytes(4)),
        data(stream, Buffer.alloc(1), FLAG.padded),
      ]);
      return Buffer.concat([open(random, stream), provoked]);
    })),

  "PING flood": (random) => session(several(random, 2000, ping), call(random, 1)),

  "junk paths": (random) =>
    session(several(random, 20, (i) =>
      Buffer.concat([
        headers(2 * i + 1, headerBlock(grpcHeaders(junkPath(random)))),
        data(2 * i + 1, grpcMessage(ECHO_REQUEST), FLAG.endStream),
      ]))),

  "junk headers": (random) =>
    session(several(random, 20, (i) => {
      const [method, scheme, path, authority, type, te] = grpcHeaders(random.of(CALLED));
      const good = [method!, scheme!, path!, authority!, type!, te!];
      const junk = random.of<() => readonly Header[]>([
        () => good.filter(() => random.next() < 0.7),
        () => good.toReversed(),
        () => [...good, path!],
        () => [...good, [text(random, 20), text(random, 50)]],
        () => [...good, ["X-Upper", "x"], ["connection", "close"]],
        () => [method!, scheme!, [":path", junkPath(random)], authority!],
        () => [method!, scheme!, path!, ["content-type", text(random, 30)]],
        () => [[":method", text(random, 8)], scheme!, path!, type!],
        () => [...good, ["grpc-timeout", text(random, 12)]],
        () => [...good, ["grpc-encoding", text(random, 12)], ["grpc-accept-encoding", "?"]],
        () => [...good, ["x-bin", "%%%"], ["traceparent", text(random, 55)]],
      ])();
      return headers(2 * i + 1, headerBlock(junk), random.of([0, FLAG.endStream]));
    })),

  "bad gRPC frames": (random) =>
    session(
      open(random, 1, ...random.of<Header[]>([[], [["grpc-encoding", "gzip"]]])),
      several(random, 5, () => {
        const message = random.bytes(random.between(0, 300));
        return data(
          1,
          grpcMessage(
            message,
            random.between(0, 255),
            random.of([message.length, message.length, random.between(0, 2 ** 32 - 1)]),
          ),
        );
      }),
      data(1, random.bytes(random.between(0, 4)), random.of([0, FLAG.endStream])),
    ),

  "GOAWAY first": (random) =>
    session(
      goAway(number31(random), number31(random)),
      several(random, 5, (i) => call(random, 2 * i + 1)),
      goAway(0, 0),
    ),
};
