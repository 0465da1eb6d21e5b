import type { Random } from "../support/random.ts";
import type { BadInput } from "./attack.ts";

const NEWLINES = ["\n", "\r", "\n\r", "\r\n\r\n", "\0"];

function text(random: Random, most: number): string {
  return random.bytes(random.between(0, most)).toString("latin1");
}

function several(random: Random, most: number, make: (i: number) => string): string {
  return Array.from({ length: random.between(1, most) }, (_, i) => make(i)).join("");
}

function request(line: string, ...headers: readonly string[]): string {
  return [`${line} HTTP/1.1`, "Host: localhost", ...headers, "", ""].join("\r\n");
}

/** Encodes a text with one byte for each character. */
function latin1(make: (random: Random) => string): BadInput {
  return (random) => Buffer.from(make(random), "latin1");
}

/** Makers of bad HTTP/1.1 requests, by kind. */
export const BAD_HTTP: Readonly<Record<string, BadInput>> = {
  "random bytes": (random) => random.bytes(random.between(1, 4000)),

  "another protocol": latin1((random) =>
    random.of([
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
      `\x16\x03\x01\x02\0\x01\0${text(random, 500)}`,
      "SSH-2.0-OpenSSH_9.6\r\n",
      "*1\r\n$4\r\nPING\r\n",
      request("GET /metrics", "Connection: Upgrade", "Upgrade: websocket"),
      request("GET /metrics", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
      request("CONNECT localhost:22"),
      request("GET /metrics", "Expect: 100-continue"),
      request("POST /metrics", "Expect: 200-maybe", "Content-Length: 5"),
    ])
  ),

  "one bit of a good request is wrong": (random) => {
    const bytes = Buffer.from(
      request("GET /metrics", "Accept: */*", "User-Agent: Prometheus/2.42"),
    );
    for (let i = random.between(1, 4); i > 0; i--) {
      bytes[random.between(0, bytes.length - 1)]! ^= 1 << random.between(0, 7);
    }
    return bytes;
  },

  "bad request lines": latin1((random) =>
    random.of([
      () => `${text(random, 12)} /metrics HTTP/1.1\r\nHost: a\r\n\r\n`,
      () => `GET /metrics HTTP/${text(random, 5)}\r\nHost: a\r\n\r\n`,
      () => `GET\t/metrics\tHTTP/1.1\r\nHost: a\r\n\r\n`,
      () => `GET  /metrics  HTTP/1.1\r\nHost: a\r\n\r\n`,
      () => "GET /metrics\r\n\r\n",
      () => `GET /metrics HTTP/1.1${random.of(NEWLINES)}Host: a${random.of(NEWLINES)}`,
      () => request(`GET /${"x".repeat(random.between(1, 100_000))}`),
      () => `${"\r\n".repeat(random.between(1, 500))}${request("GET /metrics")}`,
      () => request(`${random.of(["TRACE", "OPTIONS", "PROPFIND", "M-SEARCH", "get"])} *`),
    ])()
  ),

  "path tricks": latin1((random) =>
    request(`GET ${
      random.of([
        () => `/${"../".repeat(random.between(1, 50))}etc/passwd`,
        () => `/metrics/..;/${text(random, 20).replaceAll(/\s/g, "")}`,
        () => "/%2e%2e/%2e%2e/metrics%00.html",
        () => "/metrics%0d%0aSet-Cookie:%20a=b",
        () => "\\metrics",
        () => "metrics",
        () => "//localhost/metrics",
        () => "///metrics",
        () => `http://user:password@${"a".repeat(random.between(1, 300))}/metrics`,
        () => "file:///etc/passwd",
        () => "/metrics#name[]=up",
        () => `/metrics?${several(random, 1000, (i) => `name[]=m${i}&`)}`,
        () => `/metrics?${"%".repeat(random.between(1, 1000))}`,
        () => "/__proto__",
        () => "/-/healthy/../../metrics",
      ])()
    }`)
  ),

  "bad headers": latin1((random) =>
    request(
      "GET /metrics",
      random.of([
        () => "no colon",
        () => ": no name",
        () => "Space : before the colon",
        () => " folded: from nothing",
        () => `Folded: a\r\n ${text(random, 40)}`,
        () => `X: a${random.of(NEWLINES)}Y: b`,
        () => `${text(random, 30)}: ${text(random, 100)}`,
        () => "Host: another",
        () => "Connection: close, keep-alive, upgrade, te",
        () => `Accept: ${"text/plain;q=0.1,".repeat(random.between(1, 900))}`,
        () => `Accept-Encoding: ${"gzip;q=".repeat(random.between(1, 1000))}`,
        () => `Keep-Alive: timeout=${"9".repeat(random.between(1, 400))}`,
      ])(),
    )
  ),

  "huge headers": latin1((random) =>
    request(
      "GET /metrics",
      random.of([
        () => `X: ${"x".repeat(random.between(16_000, 500_000))}`,
        () => `${"x".repeat(random.between(16_000, 500_000))}: x`,
        () => several(random, 5000, (i) => `X-${i}: ${i}\r\n`) + "X: x",
        () => `Cookie: ${"a=b; ".repeat(random.between(4000, 20_000))}`,
      ])(),
    )
  ),

  "bodies": latin1((random) =>
    random.of([
      () => request("GET /metrics", "Content-Length: 5", "Content-Length: 6") + "hello!",
      () =>
        request("GET /metrics", "Content-Length: 4", "Transfer-Encoding: chunked") + "0\r\n\r\n",
      () => request("POST /metrics", `Content-Length: ${"9".repeat(random.between(1, 40))}`) + "x",
      () => request("POST /metrics", "Content-Length: -1"),
      () => request("POST /metrics", `Content-Length: ${text(random, 10)}`),
      () => request("POST /metrics", "Transfer-Encoding: gzip, chunked") + text(random, 300),
      () => request("POST /metrics", "Transfer-Encoding:\tchunked") + `${text(random, 20)}\r\n`,
      () =>
        request("POST /metrics", "Transfer-Encoding: chunked") +
        several(random, 500, () => `1;${"x".repeat(random.between(0, 100))}\r\nx\r\n`),
      () => request("POST /metrics", "Transfer-Encoding: chunked") + "ffffffffffffffff\r\nx",
      () => request("POST /metrics", "Content-Length: 100000") + "x".repeat(50_000),
    ])()
  ),

  "wrong secrets": latin1((random) =>
    request(
      "GET /metrics",
      `Authorization: ${
        random.of([
          () => "Bearer",
          () => `Bearer ${text(random, 60)}`,
          () => `Bearer ${"x".repeat(random.between(1, 16_000))}`,
          () => `Basic ${random.bytes(random.between(0, 60)).toString("base64")}`,
          () => `Basic ${"=".repeat(random.between(1, 100))}`,
          () => `Basic${" ".repeat(random.between(1, 10_000))}a b`,
          () => "Digest username=a",
          () => "Bearer a\r\nAuthorization: Bearer b",
        ])()
      }`,
    )
  ),

  "pipelining": latin1((random) =>
    several(
      random,
      300,
      () =>
        request(
          random.of(["GET /metrics", "HEAD /metrics", "GET /", "GET /-/healthy", "PUT /x"]),
        ),
    )
  ),

  "cut off": latin1((random) => {
    const whole = request("GET /metrics", `X: ${"x".repeat(random.between(0, 1000))}`);
    return whole.slice(0, random.between(1, whole.length - 3));
  }),
};
