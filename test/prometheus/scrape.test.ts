import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { test } from "node:test";
import { diag, DiagLogLevel } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { type CollectionResult, MeterProvider } from "@opentelemetry/sdk-metrics";
import { router } from "../../prometheus/endpoint.ts";
import { startListener } from "../../prometheus/listener.ts";
import { PrometheusReader } from "../../prometheus/mod.ts";
import { SCRAPE_LIMITS, ScrapeHandler, type ScrapeLimits } from "../../prometheus/scrape.ts";
import { eventually } from "../support/eventually.ts";
import { THROWN } from "../support/thrown.ts";
import { request } from "./client.ts";
import { warningsOf } from "./warnings.ts";

/** Runs a test against a reader's metrics with other limits. */
async function serve(
  reader: Pick<PrometheusReader, "collect">,
  action: (url: string) => Promise<void>,
  limits: Partial<ScrapeLimits> = {},
): Promise<void> {
  const handler = new ScrapeHandler(reader, { ...SCRAPE_LIMITS, ...limits });
  const listener = await startListener(router(handler), { host: "127.0.0.1", port: 0 });
  try {
    await action(`http://127.0.0.1:${listener.port}/metrics`);
  } finally {
    await listener.close();
  }
}

const NOTHING: CollectionResult = {
  resourceMetrics: { resource: resourceFromAttributes({}), scopeMetrics: [] },
  errors: [],
};

/** Returns the handler's own count of responses with a status. */
async function counted(url: string, status: number): Promise<number> {
  const text = await (await fetch(url)).text();
  const [, count] = new RegExp(`_requests_total\\{code="${status}"\\} (\\d+)`).exec(text) ?? [];
  return Number(count);
}

test("a failed collection gets 500, with a one-line reason and no stack", async () => {
  let failing = true;
  const reader = {
    collect: () => failing ? Promise.reject(new Error("out of\norder")) : Promise.resolve(NOTHING),
  };
  await serve(reader, async (url) => {
    const errors = await warningsOf(async () => {
      const { status, headers, rest } = await request(url, "GET /metrics", "Accept-Encoding: gzip");
      assert.equal(status, 500);
      assert.equal(headers.get("content-type"), "text/plain; charset=utf-8");
      assert.equal(headers.get("x-content-type-options"), "nosniff");
      assert.equal(headers.get("content-encoding"), undefined);
      assert.match(rest, /An error has occurred while serving metrics:\n\nout of\n/);
      assert.doesNotMatch(rest, /order|\.ts/);
    });
    assert.deepEqual(errors, ["Metrics could not be collected: out of"]);
    failing = false;
    assert.equal(await counted(url, 500), 1);
  });
});

test("a reader after its shutdown gets 500", async () => {
  const reader = new PrometheusReader();
  const provider = new MeterProvider({ readers: [reader] });
  await provider.shutdown();
  await serve(reader, async (url) => {
    await warningsOf(async () => assert.equal((await fetch(url)).status, 500));
  });
});

test("as in Go, a failing callback costs its metrics, not the scrape", async () => {
  const reader = new PrometheusReader();
  const meter = new MeterProvider({ readers: [reader] }).getMeter("m");
  meter.createCounter("fine").add(1);
  meter.createObservableGauge("bad").addCallback(() => {
    throw new Error("no sensor");
  });
  meter.createObservableGauge("hangs").addCallback(() => new Promise(() => {}));
  await serve(reader, async (url) => {
    const errors = await warningsOf(async () => {
      const response = await fetch(url);
      assert.equal(response.status, 200);
      const text = await response.text();
      assert.match(text, /^fine_total\{.*\} 1$/m);
      assert.doesNotMatch(text, /bad|hangs/);
    });
    assert.deepEqual(errors.sort(), [
      "A metric callback failed: Operation timed out.",
      "A metric callback failed: no sensor",
    ]);
  }, { callback: 20 });
});

test("a scrape waits for asynchronous resource attributes", async () => {
  const reader = new PrometheusReader();
  const late = Promise.resolve().then(() => "late");
  const resource = resourceFromAttributes({ "service.name": late });
  new MeterProvider({ readers: [reader], resource });
  await serve(reader, async (url) => {
    assert.match(await (await fetch(url)).text(), /^target_info\{service_name="late"\} 1$/m);
  });
});

test("scrapes beyond the limit get 503, and a hanging collection counts for the limit", async () => {
  let finish = (_collected: CollectionResult) => {};
  let collections = 0;
  const reader = {
    collect() {
      collections++;
      return new Promise<CollectionResult>((resolve) => finish = resolve);
    },
  };
  await serve(reader, async (url) => {
    const first = await fetch(url);
    assert.equal(first.status, 503);
    assert.equal(await first.text(), "Exceeded configured timeout of 0.05s.\n");
    const second = await fetch(url);
    assert.equal(second.status, 503);
    const text = "Limit of concurrent requests reached (1), try again later.\n";
    assert.equal(await second.text(), text);
    assert.equal(collections, 1);
    finish(NOTHING);
    reader.collect = () => Promise.resolve(NOTHING);
    await eventually(async () => assert.equal((await fetch(url)).status, 200));
    assert.ok(await counted(url, 503) >= 2);
  }, { inFlight: 1, collection: 50 });
});

test("concurrent scrapes are served together, up to the limit", async () => {
  const waiting: (() => void)[] = [];
  const reader = {
    collect: () => new Promise<CollectionResult>((resolve) => waiting.push(() => resolve(NOTHING))),
  };
  await serve(reader, async (url) => {
    const scrapes = [1, 2, 3].map(() => fetch(url));
    await eventually(() => assert.equal(waiting.length, 3));
    assert.equal((await fetch(url)).status, 503);
    for (const finish of waiting) finish();
    for (const scrape of scrapes) {
      assert.match(await (await scrape).text(), /^promhttp_metric_handler_requests_in_flight 3$/m);
    }
  }, { inFlight: 3 });
});

/** Creates a reader whose text is larger than all buffers between server and client. */
function largeReader(): PrometheusReader {
  const reader = new PrometheusReader();
  const meter = new MeterProvider({ readers: [reader] }).getMeter("m");
  const histogram = meter.createHistogram("h");
  const text = "x".repeat(1000);
  for (let i = 0; i < 1900; i++) histogram.record(i, { i, text });
  return reader;
}

/** Requests metrics without reading the response. */
async function askAndStall(url: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.pause();
  socket.write("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
  return socket;
}

test("a client that does not read is cut off, and its place is free again", async () => {
  await serve(largeReader(), async (url) => {
    const socket = await askAndStall(url);
    await eventually(async () => {
      const response = await fetch(url);
      await response.body?.cancel();
      assert.equal(response.status, 503);
    });
    await eventually(async () => assert.equal((await fetch(`${url}?name[]=x`)).status, 200));
    socket.resume();
    await once(socket, "close");
  }, { inFlight: 1, response: 2_000 });
});

test("a client may disconnect in the middle of a response", async () => {
  await serve(largeReader(), async (url) => {
    for (let i = 0; i < 3; i++) {
      const socket = await askAndStall(url);
      socket.resume();
      await once(socket, "data");
      socket.destroy();
    }
    await eventually(async () => {
      const text = await (await fetch(`${url}?name[]=promhttp_metric_handler_requests_in_flight`))
        .text();
      assert.match(text, /^promhttp_metric_handler_requests_in_flight 1$/m);
    });
  });
});

test("scrapes are answered whatever a callback or collection throws, and each is logged once", async () => {
  const reader = new PrometheusReader();
  const meter = new MeterProvider({ readers: [reader] }).getMeter("m");
  meter.createCounter("fine").add(1);
  let make = (): unknown => undefined;
  let asynchronous = false;
  meter.createObservableGauge("bad").addCallback((result) => {
    result.observe(1);
    if (asynchronous) return Promise.reject(make());
    throw make();
  });
  let failing = false;
  const failingReader: Pick<PrometheusReader, "collect"> = {
    collect: (options) => failing ? Promise.reject(make()) : reader.collect(options),
  };
  for (make of Object.values(THROWN)) {
    for (asynchronous of [false, true]) {
      await serve(failingReader, async (url) => {
        const lines = await warningsOf(async () => {
          for (let i = 0; i < 3; i++) {
            const response = await fetch(url);
            assert.equal(response.status, 200);
            assert.match(await response.text(), /^fine_total\{.*\} 1$/m);
          }
          failing = true;
          for (let i = 0; i < 3; i++) assert.equal((await fetch(url)).status, 500);
          failing = false;
        });
        assert.equal(lines.length, 2, lines.join("\n"));
        assert.match(lines[0]!, /^A metric callback failed: ./);
        assert.match(lines[1]!, /^Metrics could not be collected: ./);
      });
    }
  }
});

test("a logger that throws affects neither scrapes nor the process", async () => {
  let closed = false;
  const fail = () => {
    if (closed) throw new Error("the log is closed");
  };
  const logger = { error: fail, warn: fail, info: fail, debug: fail, verbose: fail };
  const reader = largeReader();
  diag.setLogger(logger, { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true });
  closed = true;
  try {
    const collect = () => Promise.resolve({ ...NOTHING, errors: [new Error("callback")] });
    await serve({ collect }, async (url) => assert.equal((await fetch(url)).status, 200));
    const reject = () => Promise.reject(new Error("collection"));
    await serve({ collect: reject }, async (url) => assert.equal((await fetch(url)).status, 500));
    await serve(reader, async (url) => {
      const socket = await askAndStall(url);
      socket.resume();
      await once(socket, "data");
      socket.destroy();
      // The place of the cut scrape is free again.
      await eventually(async () => assert.equal((await fetch(`${url}?name[]=x`)).status, 200));
    }, { inFlight: 1 });
  } finally {
    closed = false;
    diag.disable();
  }
});

test("resource attributes that never resolve, or reject, are missing until they resolve", async () => {
  const reader = new PrometheusReader();
  let resolveLate = (_value: string) => {};
  const resource = resourceFromAttributes({
    "service.name": "s",
    "never": new Promise<string>(() => {}),
    "rejected": Promise.reject(new Error("no metadata server")),
    "late": new Promise<string>((resolve) => resolveLate = resolve),
    "soon": Promise.resolve("soon"),
  });
  const meter = new MeterProvider({ readers: [reader], resource }).getMeter("m");
  meter.createCounter("fine").add(1);
  meter.createObservableGauge("hangs").addCallback(() => new Promise(() => {}));
  await serve(reader, async (url) => {
    const targetInfo = async () => {
      const response = await fetch(url);
      assert.equal(response.status, 200);
      const text = await response.text();
      assert.match(text, /^fine_total/m);
      return /^target_info\{.*\} 1$/m.exec(text)?.[0];
    };
    const known = 'target_info{service_name="s",soon="soon"} 1';
    const lines = await warningsOf(async () => {
      for (let i = 0; i < 7; i++) assert.equal(await targetInfo(), known);
      assert.deepEqual(await Promise.all([1, 2, 3, 4, 5].map(targetInfo)), Array(5).fill(known));
    });
    assert.deepEqual(lines.filter((line) => !line.includes("callback failed")), [
      "Metrics are shown without resource attributes that do not resolve: never, late",
    ]);
    resolveLate("here");
    const all = 'target_info{late="here",service_name="s",soon="soon"} 1';
    await eventually(async () => assert.equal(await targetInfo(), all));
  }, { callback: 20, attributes: 50 });
});
