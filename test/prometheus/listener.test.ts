import assert from "node:assert/strict";
import { once } from "node:events";
import type { RequestListener } from "node:http";
import { connect } from "node:net";
import type { Socket } from "node:net";
import process from "node:process";
import { test } from "node:test";
import { LISTENER_LIMITS, type ListenerLimits } from "../../prometheus/connections.ts";
import { startListener } from "../../prometheus/listener.ts";
import { eventually } from "../support/eventually.ts";
import { request, requestText, sendRaw } from "./client.ts";

/** Values of the Expect header, which change the event of a request but not its handler. */
const EXPECTING = ["100-continue", "100-CONTINUE", "junk", "", "100-continue, junk"];

const hello: RequestListener = (_request, response) => response.end("hello");

/** Runs a test against a listener with other limits. */
async function listening(
  action: (url: string, close: () => Promise<void>) => Promise<void>,
  { handle = hello, ...limits }: Partial<ListenerLimits> & { handle?: RequestListener } = {},
): Promise<void> {
  const all = { ...LISTENER_LIMITS, ...limits };
  const listener = await startListener(handle, { host: "127.0.0.1", port: 0 }, all);
  try {
    await action(`http://127.0.0.1:${listener.port}/`, () => listener.close());
  } finally {
    await listener.close();
  }
}

test("malformed requests get 400 and a closed connection, and the listener goes on", () =>
  listening(async (url) => {
    const messages = [
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
      "GET\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnot a length\r\n",
      "GET / HTTP/1.1\r\n\r\n",
    ];
    for (const message of messages) {
      const { status, rest } = await sendRaw(url, message);
      // If only the body is malformed, the request may have been answered before it arrived.
      assert.ok(status === 400 || (message.includes("not a length") && status === 200), message);
      assert.doesNotMatch(rest, /Error|node:|\.ts/);
    }
    assert.equal((await request(url, "GET /")).status, 200);
  }));

test("an error response is never written into the middle of another response", async () => {
  const handle: RequestListener = (_request, response) => {
    response.write("first");
  };
  await listening(async (url) => {
    const { status, rest } = await sendRaw(
      url,
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n\0garbage\r\n\r\n",
    );
    assert.ok(status === 200 || status === 0, String(status));
    assert.doesNotMatch(rest, /HTTP/);
  }, { handle });
});

test("too large headers are refused", () =>
  listening(async (url) => {
    const { status } = await request(url, "GET /", `X: ${"x".repeat(3000)}`);
    assert.equal(status, 431);
    assert.equal((await request(url, "GET /", `X: ${"x".repeat(500)}`)).status, 200);
  }, { headerBytes: 2048 }));

test("unfinished headers time out", () =>
  listening(async (url) => {
    const { status } = await sendRaw(url, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    assert.equal(status, 408);
  }, { headers: 100 }));

test("a silent connection times out", () =>
  listening(async (url) => {
    assert.equal((await sendRaw(url, "")).status, 408);
  }, { headers: 100, request: 200 }));

test("an unfinished body times out", async () => {
  const handle: RequestListener = (request, response) => {
    request.resume().once("end", () => response.end());
  };
  await listening(async (url) => {
    const { status } = await sendRaw(
      url,
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx",
    );
    assert.notEqual(status, 200);
  }, { handle, headers: 100, request: 200 });
});

test("a connection can be used again until it has been idle too long", () =>
  listening(async (url) => {
    const { rest } = await sendRaw(url, "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2));
    assert.equal(rest.match(/hello/g)?.length, 2);
  }, { idle: 50 }));

test("a connection may be idle for longer than a scrape interval", () =>
  listening(async (url) => {
    const response = await fetch(url);
    assert.equal(await response.text(), "hello");
    assert.equal(response.headers.get("keep-alive"), "timeout=75");
  }));

/** Creates a handler whose responses wait until the test sends them. */
function pendingRequests() {
  const pending: (() => void)[] = [];
  const handle: RequestListener = (_request, response) => {
    pending.push(() => response.end("finished"));
  };
  return { pending, handle };
}

const KEEP_ALIVE = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LAST = requestText("GET /");

/** Opens a connection with an unfinished request. */
async function unfinished(url: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.on("error", () => {}).resume();
  await once(socket, "connect");
  // Bun reports a connection only after its first byte.
  socket.write("GET ");
  return socket;
}

test("one connection too many closes the oldest one without an answered request", () =>
  listening(async (url) => {
    // This connection had one answer and is still open.
    const known = await unfinished(url);
    const answered = once(known, "data");
    known.write("/ HTTP/1.1\r\nHost: a\r\n\r\n");
    await answered;
    const [first, second] = [await unfinished(url), await unfinished(url)];
    const [firstClosed, secondClosed] = [once(first, "close"), once(second, "close")];
    assert.equal((await request(url, "GET /")).status, 200);
    await firstClosed;
    assert.equal(second.destroyed, false);
    const [third, fourth] = [await unfinished(url), await unfinished(url)];
    await secondClosed;
    assert.deepEqual([known.destroyed, third.destroyed, fourth.destroyed], [false, false, false]);
  }, { connections: 3, headers: 60_000, request: 60_000 }));

test("idle connections make room for new ones", () =>
  listening(async (url) => {
    const idle = await unfinished(url);
    const closed = once(idle, "close");
    idle.write("/ HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(idle, "data");
    assert.equal((await request(url, "GET /")).status, 200);
    await closed;
  }, { connections: 1 }));

test("a new connection never cuts off a request in progress", async () => {
  const { pending, handle } = pendingRequests();
  await listening(async (url) => {
    const inProgress = [sendRaw(url, LAST), sendRaw(url, LAST)];
    await eventually(() => assert.equal(pending.length, 2));
    assert.equal((await request(url, "GET /")).status, 0);
    for (const finish of pending) finish();
    for (const { rest } of await Promise.all(inProgress)) assert.equal(rest, "finished");
    const later = request(url, "GET /");
    await eventually(() => assert.equal(pending.length, 3));
    pending[2]?.();
    assert.equal((await later).rest, "finished");
  }, { handle, connections: 2 });
});

test("a client that does not read the responses is cut off", async () => {
  const large = "x".repeat(10_000_000);
  let answers = 0;
  let cut = false;
  const handle: RequestListener = (request, response) => {
    if (answers++ === 0) request.socket.once("close", () => cut = true);
    response.end(large);
  };
  await listening(async (url) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    socket.on("error", () => {}).pause().write(KEEP_ALIVE.repeat(10));
    await eventually(() => assert.ok(cut));
    assert.equal(answers, 10);
    socket.destroy();
  }, { handle, response: 300 });
});

test("too many pipelined requests close the connection", async () => {
  let requests = 0;
  const handle: RequestListener = (_request, response) => {
    requests++;
    setTimeout(() => response.end("late"), 60_000).unref();
  };
  await listening(async (url) => {
    assert.equal((await sendRaw(url, KEEP_ALIVE.repeat(100))).status, 0);
    assert.equal(requests, 10);
  }, { handle, pipelined: 10 });
});

test("pipelined requests count even if they are answered at once", async () => {
  let answers = 0;
  let cut = false;
  const handle: RequestListener = (request, response) => {
    if (answers++ === 0) request.socket.once("close", () => cut = true);
    response.end("hello");
  };
  await listening(async (url) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1").pause();
    socket.on("error", () => {}).write(KEEP_ALIVE.repeat(20_000));
    await eventually(() => assert.ok(cut));
    assert.ok(answers <= 10, String(answers));
    socket.destroy();
  }, { handle, pipelined: 10 });
});

test("a request with a body ends its connection, and its body is not read", () =>
  listening(async (url) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    socket.on("error", () => {}).resume();
    socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    const timer = setInterval(() => socket.write("x"), 20);
    // `once` would reject if a write fails before that.
    await new Promise((resolve) => socket.on("close", resolve));
    clearInterval(timer);
  }, { request: 60_000 }));

test("closing waits for requests in progress, but not for unfinished ones", async () => {
  const { pending, handle } = pendingRequests();
  await listening(async (url, close) => {
    const inProgress = sendRaw(url, KEEP_ALIVE);
    const unfinished = sendRaw(url, "GET ");
    await eventually(() => assert.equal(pending.length, 1));
    const closing = close();
    assert.equal(close(), closing);
    assert.equal((await unfinished).status, 0);
    pending[0]?.();
    assert.equal((await inProgress).rest, "finished");
    await closing;
  }, { handle, closing: 60_000 });
});

test("closing waits no longer than its limit", async () => {
  const { pending, handle } = pendingRequests();
  await listening(async (url, close) => {
    const hanging = sendRaw(url, KEEP_ALIVE);
    await eventually(() => assert.equal(pending.length, 1));
    await close();
    assert.equal((await hanging).status, 0);
  }, { handle, closing: 50 });
});

test("opening and closing a listener leaves no process listeners behind", async () => {
  const count = () =>
    process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
  await listening(() => Promise.resolve());
  const before = count();
  for (let i = 0; i < 20; i++) {
    await listening(async (url) => void await request(url, "GET /"));
  }
  assert.equal(count(), before);
});

test("a request with an Expect header is handled like any other", () =>
  listening(async (url) => {
    for (const expect of EXPECTING) {
      const { status, rest } = await request(url, "GET /", `Expect: ${expect}`);
      assert.deepEqual([status, rest], [200, "hello"], expect);
      const upgrade = ["Connection: Upgrade", "Upgrade: websocket"];
      const upgraded = await request(url, "GET /", `Expect: ${expect}`, ...upgrade);
      assert.deepEqual([upgraded.status, upgraded.rest], [200, "hello"], expect);
    }
  }));

test("requests with an Expect header count as pipelined", async () => {
  for (const expect of EXPECTING) {
    let requests = 0;
    const handle: RequestListener = () => void requests++;
    await listening(async (url) => {
      const message = `GET / HTTP/1.1\r\nHost: a\r\nExpect: ${expect}\r\n\r\n`;
      assert.equal((await sendRaw(url, message.repeat(100))).status, 0, expect);
      assert.equal(requests, 10, expect);
    }, { handle, pipelined: 10 });
  }
});

test("a client that does not read the response to an Expect header is cut off", async () => {
  for (const expect of EXPECTING) {
    let cut = false;
    const handle: RequestListener = (request, response) => {
      request.socket.once("close", () => cut = true);
      response.end("x".repeat(10_000_000));
    };
    await listening(async (url) => {
      const socket = connect(Number(new URL(url).port), "127.0.0.1");
      socket.on("error", () => {}).pause();
      socket.write(`GET / HTTP/1.1\r\nHost: a\r\nExpect: ${expect}\r\n\r\n`);
      await eventually(() => assert.ok(cut, expect));
      socket.destroy();
    }, { handle, response: 300 });
  }
});

test("CONNECT is refused", () =>
  listening(async (url) => {
    const message = "CONNECT localhost:22 HTTP/1.1\r\nHost: a\r\n";
    for (const header of ["", "Expect: junk\r\n", "Upgrade: a\r\nConnection: Upgrade\r\n"]) {
      assert.equal((await sendRaw(url, `${message}${header}\r\n`)).status, 405);
    }
  }));

test("a request must have exactly one Host header", () =>
  listening(async (url) => {
    const refused = ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"];
    for (const message of refused) {
      const { status, rest } = await sendRaw(url, message.repeat(3));
      assert.equal(status, 400);
      assert.doesNotMatch(rest, /hello/);
    }
    assert.equal((await sendRaw(url, "GET / HTTP/1.0\r\n\r\n")).status, 200);
  }));

test("a client that keeps a refused connection open is cut off", async () => {
  const refused = ["no HTTP\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"];
  for (const message of refused) {
    await listening(async (url) => {
      const port = Number(new URL(url).port);
      const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      // Not `once`, which would reject when a write fails after the server has closed.
      const closed = new Promise((resolve) => socket.on("close", resolve));
      socket.on("error", () => {}).resume().write(message);
      // These bytes show the client that the server has closed the connection.
      const timer = setInterval(() => socket.write("x"), 20);
      await closed;
      clearInterval(timer);
    }, { closing: 50 });
  }
});

test("a client that resets its connection after a refused request harms nothing", () =>
  listening(async (url) => {
    const port = Number(new URL(url).port);
    for (const message of ["no HTTP\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"]) {
      for (let i = 0; i < 200; i++) {
        const socket = connect(port, "127.0.0.1").on("error", () => {});
        const closed = new Promise((resolve) => socket.on("close", resolve));
        // The server's answer arrives at a connection that is gone.
        socket.write(message, () => socket.resetAndDestroy());
        await closed;
      }
    }
    assert.equal((await request(url, "GET /")).status, 200);
  }));
