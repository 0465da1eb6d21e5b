/**
 * At any time, started = ended + in flight, for calls and for attempts, whatever goes wrong. The calls
 * are random. The variable `INVARIANT_SEED` repeats the run of a title.
 */
import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../support/eventually.ts";
import { run, Script } from "../support/script.ts";
import type { Owner } from "../support/script.ts";
import { snapshot } from "./observed.ts";
import type { Snapshot } from "./observed.ts";
import { Random } from "../support/random.ts";
import { Ledger, randomCall } from "./random-call.ts";
import type { Peer } from "./random-call.ts";
import { CHILD_SERVER, Harness } from "./harness.ts";

const CALLS = 10_000;
const CONCURRENCY = 48;
/** How often each server is killed and started again. */
const KILLS = 5;
const MAX_ATTEMPTS = 4;
const CALL_DELAY = "grpc.client.call.delay.duration";
const ATTEMPT_DELAY = "grpc.client.attempt.delay.duration";

const retryPolicy = {
  maxAttempts: MAX_ATTEMPTS,
  initialBackoff: "0.005s",
  maxBackoff: "0.01s",
  backoffMultiplier: 2,
  retryableStatusCodes: ["UNAVAILABLE"],
};
const hedgingPolicy = {
  maxAttempts: 3,
  hedgingDelay: "0.003s",
  nonFatalStatusCodes: ["UNAVAILABLE"],
};
const gzip = {
  "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip,
};
const smallReplies = { "grpc.max_receive_message_length": 60_000 };

function policy(methodPolicy: object): grpc.ClientOptions {
  const methodConfig = [{ name: [{}], ...methodPolicy }];
  return {
    "grpc.service_config": JSON.stringify({
      loadBalancingConfig: [],
      methodConfig,
    }),
  };
}

/** The plans of the raw server, most of which abort a call. */
const RESETS = [
  "ok",
  "refuse",
  "goaway0",
  "close",
  "close-after-headers",
  "data-then-close",
  "http503",
  "nostatus",
  "trailersonly-unavailable",
  "truncated-message",
  "rst-no-error",
  "rst-protocol-error",
  "rst-internal-error",
  "rst-cancel",
  "rst-calm",
  "hang",
];

const seed = Number(process.env["INVARIANT_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

test(`all that started has ended or is in flight (INVARIANT_SEED=${seed})`, async (t) => {
  const random = new Random(seed);
  const harness = new Harness(t);
  const ledger = new Ledger();

  const near = await RestartingServer.start(harness);
  const far = await KilledServer.start(t);
  const rawPort = await harness.raw(...Array.from({ length: 2000 }, () => random.of(RESETS)));
  const targets = [
    ...[{}, policy({ retryPolicy }), policy({ hedgingPolicy }), {
      ...gzip,
      ...smallReplies,
    }]
      .flatMap((options) => [{ port: near.port, options }, { port: far.port, options }]),
    { port: rawPort, options: policy({ retryPolicy }), unaryOnly: true },
  ];
  const peers: Peer[] = targets.map(({ port, options, ...rest }) => ({
    client: harness.client(`127.0.0.1:${port}`, {
      options: {
        "grpc.initial_reconnect_backoff_ms": 20,
        "grpc.max_reconnect_backoff_ms": 100,
        ...options,
      },
    }),
    target: `dns:///127.0.0.1:${port}`,
    ...rest,
  }));

  let scrapes = 0;
  let done = false;
  const scrape = async () => {
    for (; !done; scrapes++) {
      await checkScrape(harness, ledger);
      await delay(25);
    }
  };
  const kill = async () => {
    for (let kills = 1; kills <= KILLS && !done; kills++) {
      while (!done && ledger.ended < kills * CALLS / (KILLS + 1)) {
        await delay(5);
      }
      await Promise.all([near.restart(), far.restart()]);
    }
  };
  const call = async () => {
    while (!done && ledger.started < CALLS) {
      const unavailable = ledger.total("UNAVAILABLE");
      await randomCall(random, random.of(peers), ledger);
      // Slows down, because calls fail at once while a server is away.
      if (ledger.total("UNAVAILABLE") > unavailable) await delay(5);
    }
  };
  try {
    const calling = Promise.all(Array.from({ length: CONCURRENCY }, call));
    await Promise.all([scrape(), Promise.all([calling, kill()]).then(() => done = true)]);
  } finally {
    done = true;
    await far.stop();
    harness.close();
  }
  const started = await eventually(async () => {
    const now = await snapshot(harness.clientRecording);
    const servers = await snapshot(harness.serverRecording);
    assertEverythingEnded(now, "grpc.client.attempt");
    assertEverythingEnded(servers, "grpc.server.call");
    return { attempts: total(now, "grpc.client.attempt.started"), servers, now };
  }, 30_000);

  assert.deepEqual(
    await endedCalls(harness),
    Object.fromEntries([...ledger.byStatus].sort()),
    "calls, as the application counted them",
  );
  assert.equal(total(started.servers, "grpc.server.call.started"), near.seen);
  for (const status of ["OK", "CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE"]) {
    assert.ok(ledger.total(status) > CALLS / 100, `${ledger.total(status)} calls were ${status}`);
  }
  assert.ok(started.attempts > ledger.ended, "some calls were retried");
  assert.ok(scrapes > 20, `${scrapes} scrapes`);
  assertDelays(started.now, peers.length);
});

/** An instrumented server in this process that aborts its calls and starts again. */
class RestartingServer {
  /** The number of calls that an interceptor of the server saw. */
  seen = 0;
  port = 0;
  readonly #harness: Harness;
  #server: grpc.Server | undefined;

  private constructor(harness: Harness) {
    this.#harness = harness;
  }

  static async start(harness: Harness): Promise<RestartingServer> {
    const server = new RestartingServer(harness);
    await server.restart();
    return server;
  }

  async restart(): Promise<void> {
    this.#server?.forceShutdown();
    const { server, port } = await this.#harness.server({
      address: `127.0.0.1:${this.port}`,
      options: {
        interceptors: [(_method, call) => {
          this.seen++;
          return new grpc.ServerInterceptingCall(call);
        }],
      },
    });
    this.#server = server;
    this.port = port;
  }
}

/** A server in another process that is killed and started again. */
class KilledServer {
  port = 0;
  readonly #owner: Owner;
  #script: Script | undefined;

  private constructor(owner: Owner) {
    this.#owner = owner;
  }

  static async start(owner: Owner): Promise<KilledServer> {
    const server = new KilledServer(owner);
    await server.restart();
    return server;
  }

  async restart(): Promise<void> {
    await this.stop();
    this.#script = new Script(this.#owner, run("node", CHILD_SERVER, `${this.port}`));
    this.port = Number(await this.#script.printed(/^Listening on (\d+)\n/m));
  }

  async stop(): Promise<void> {
    await this.#script?.stop("SIGKILL");
  }
}

/** Checks that a scrape during calls is consistent. */
async function checkScrape(harness: Harness, ledger: Ledger): Promise<void> {
  const endedBefore = ledger.ended;
  const openBefore = ledger.started - ledger.ended;
  const client = await snapshot(harness.clientRecording);
  const server = await snapshot(harness.serverRecording);
  const open = Math.max(openBefore, ledger.started - ledger.ended) +
    ledger.ended - endedBefore;

  const attempts = inFlight(client, "grpc.client.attempt");
  for (const [series, count] of [...attempts, ...inFlight(server, "grpc.server.call")]) {
    assert.ok(count >= 0, `${series}: ${count} in flight`);
  }
  // The maximum of attempts. A call that was cancelled at once may leave one behind.
  const most = (MAX_ATTEMPTS + 1) * open + ledger.cancelledAtOnce;
  const now = [...attempts.values()].reduce((sum, count) => sum + count, 0);
  assert.ok(now <= most, `${now} attempts are in flight for ${open} calls`);

  const calls = total(client, "grpc.client.call.duration");
  assert.ok(calls >= endedBefore, `${calls} calls are recorded, ${endedBefore} had ended before`);
  assert.ok(calls <= ledger.started, `${calls} calls are recorded, ${ledger.started} were made`);
}

/** Returns how many have started but not ended, by method and target. */
function inFlight(now: Snapshot, exchange: string): Map<string, number> {
  const series = new Map<string, number>();
  const histograms = new Map<string, Set<number>>();
  for (const { instrument, attributes, count } of now.values()) {
    if (!instrument.startsWith(`${exchange}.`) || instrument === ATTEMPT_DELAY) continue;
    const key = `${attributes["grpc.method"]} ${attributes["grpc.target"]}`;
    const before = series.get(key) ?? 0;
    if (instrument.endsWith(".started")) series.set(key, before + count);
    else if (instrument.endsWith(".duration")) series.set(key, before - count);
    if (instrument.endsWith(".started")) continue;
    const status = `${key} ${attributes["grpc.status"]}`;
    histograms.set(status, (histograms.get(status) ?? new Set()).add(count));
  }
  for (const [status, counts] of histograms) {
    assert.equal(counts.size, 1, `${status}: different counts in its histograms`);
  }
  return series;
}

function assertEverythingEnded(now: Snapshot, exchange: string): void {
  const left = [...inFlight(now, exchange)].filter(([, count]) => count !== 0);
  assert.deepEqual(left, [], `${exchange}: in flight`);
}

/** The types of delays. The last one needs a connection that is lost between a pick and its use. */
const DELAY_TYPES = [
  "connecting",
  "picker_failing_with_wait_for_ready",
  "resolving",
  "subchannel_state_mismatch",
];

/** Checks that delays are within their calls and attempts, and that each channel had some. */
function assertDelays(now: Snapshot, channels: number): void {
  const types = [...now.values()]
    .map(({ attributes }) => attributes["grpc.delay_type"])
    .filter((type) => type !== undefined && type !== DELAY_TYPES.at(-1));
  assert.deepEqual([...new Set(types)].sort(), DELAY_TYPES.slice(0, -1));
  for (
    const [delay, duration] of [
      [CALL_DELAY, "grpc.client.call.duration"],
      [ATTEMPT_DELAY, "grpc.client.attempt.duration"],
    ] as const
  ) {
    assert.ok(total(now, delay) >= channels, `${total(now, delay)} delays`);
    assert.ok(seconds(now, delay) > 0);
    assert.ok(seconds(now, delay) < seconds(now, duration), `${delay} is longer than ${duration}`);
  }
}

function seconds(now: Snapshot, wanted: string): number {
  return [...now.values()].filter(({ instrument }) => instrument === wanted)
    .reduce((sum, point) => sum + point.sum, 0);
}

function total(now: Snapshot, wanted: string): number {
  return [...now.values()].filter(({ instrument }) => instrument === wanted)
    .reduce((sum, { count }) => sum + count, 0);
}

/** Returns the counts of `grpc.client.call.duration` by method, target and status. */
async function endedCalls(harness: Harness): Promise<Record<string, number>> {
  const points = [...(await snapshot(harness.clientRecording)).values()]
    .filter(({ instrument }) => instrument === "grpc.client.call.duration")
    .map(({ attributes, count }) => {
      const labels = ["grpc.method", "grpc.target", "grpc.status"].map((key) => attributes[key]);
      return [labels.join(" "), count] as const;
    });
  return Object.fromEntries(points.sort());
}
