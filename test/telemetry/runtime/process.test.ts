import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { DataPointType, MeterProvider } from "@opentelemetry/sdk-metrics";
import type { MetricData } from "@opentelemetry/sdk-metrics";
import { observeProcess } from "../../../telemetry/runtime/mod.ts";
import { block, collect, requireTotal, TestReader } from "./collect.ts";

/** Copied from the output of a Go program. */
const EXPECTED = `\
# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
# HELP process_max_fds Maximum number of open file descriptors.
# TYPE process_max_fds gauge
# HELP process_network_receive_bytes_total Number of bytes received by the process over the network.
# TYPE process_network_receive_bytes_total counter
# HELP process_network_transmit_bytes_total Number of bytes sent by the process over the network.
# TYPE process_network_transmit_bytes_total counter
# HELP process_open_fds Number of open file descriptors.
# TYPE process_open_fds gauge
# HELP process_resident_memory_bytes Resident memory size in bytes.
# TYPE process_resident_memory_bytes gauge
# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.
# TYPE process_start_time_seconds gauge
# HELP process_virtual_memory_bytes Virtual memory size in bytes.
# TYPE process_virtual_memory_bytes gauge
# HELP process_virtual_memory_max_bytes Maximum amount of virtual memory available in bytes.
# TYPE process_virtual_memory_max_bytes gauge
`.split("\n").filter((line) => line !== "");

const EVERYWHERE = /^# \w+ process_(cpu|resident|start)_/;
const loaded = Date.now() / 1000;
const linux = process.platform === "linux";
const onLinux = { skip: !linux };

let reader: TestReader;
let provider: MeterProvider;
let remove: () => void;

beforeEach(() => {
  reader = new TestReader();
  provider = new MeterProvider({ readers: [reader] });
  remove = observeProcess(provider);
});

afterEach(async () => {
  remove();
  await provider.shutdown();
});

/** The part of the translation from OpenTelemetry to Prometheus that these metrics need. */
function header(metric: MetricData): string[] {
  const { name, unit, description } = metric.descriptor;
  const kind = metric.dataPointType === DataPointType.SUM ? "counter" : "gauge";
  const suffix = { s: "_seconds", By: "_bytes", "{fd}": "" }[unit];
  const family = `${name.replaceAll(".", "_")}${suffix}${kind === "counter" ? "_total" : ""}`;
  return [`# HELP ${family} ${description}`, `# TYPE ${family} ${kind}`];
}

test("names, help and types are those of a Go program", async () => {
  const metrics = await collect(reader);
  const lines = [...metrics.values()].map(header).sort(([a], [b]) => a! < b! ? -1 : 1).flat();
  assert.deepEqual(lines, linux ? EXPECTED : EXPECTED.filter((line) => EVERYWHERE.test(line)));
  for (const [name, { dataPoints }] of metrics) {
    assert.equal(dataPoints.length, 1, name);
    assert.ok(Number(dataPoints[0]?.value) > 0, `${name} is ${dataPoints[0]?.value}`);
  }
});

test("CPU time is counted", async () => {
  await collect(reader);
  const before = process.cpuUsage();
  block(300);
  const { user, system } = process.cpuUsage(before);
  const counted = requireTotal(await collect(reader), "process.cpu");
  assert.ok(counted >= (user + system) / 1e6, `${counted} s`);
  assert.ok(counted > 0.05, `${counted} s`);
});

test("memory in use shows in the resident size", async () => {
  const before = requireTotal(await collect(reader), "process.resident_memory");
  const held = Array.from({ length: 64 }, () => new Uint8Array(1 << 20).fill(1));
  const after = requireTotal(await collect(reader), "process.resident_memory");
  assert.equal(held.length, 64);
  assert.ok(after - before > 48 << 20, `${before} -> ${after}`);
});

test("memory sizes are the kernel's", onLinux, async () => {
  const metrics = await collect(reader);
  const status = readFileSync("/proc/self/status", "utf8");
  const kernel = (field: string): number =>
    1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]);
  const close = (name: string, expected: number): void => {
    const actual = requireTotal(metrics, name);
    assert.ok(Math.abs(actual - expected) < 32 << 20, `${name}: ${actual}, kernel: ${expected}`);
  };
  close("process.resident_memory", kernel("VmRSS"));
  close("process.virtual_memory", kernel("VmSize"));
});

test("the start time lies between the kernel's and the loading of this file", onLinux, async () => {
  const started = requireTotal(await collect(reader), "process.start_time");
  const stat = readFileSync("/proc/self/stat", "utf8");
  const ticks = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  const uptime = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  const kernel = Date.now() / 1000 - uptime + ticks / 100;
  assert.ok(started > kernel - 0.1, `${started} is before ${kernel}`);
  assert.ok(started <= loaded, `${started} is after ${loaded}`);
  assert.equal(requireTotal(await collect(reader), "process.start_time"), started);
});

test("opening a file adds a descriptor, and closing it removes one", onLinux, async () => {
  const count = async () => requireTotal(await collect(reader), "process.open_fds");
  const before = await count();
  const file = openSync(fileURLToPath(import.meta.url), "r");
  const during = await count();
  closeSync(file);
  assert.equal(during, before + 1);
  assert.equal(await count(), before);
});

test("limits are those that the shell reports", onLinux, async () => {
  const metrics = await collect(reader);
  const ulimit = (option: string, unit: number): number => {
    const limit = execFileSync("sh", ["-c", `ulimit -S${option}`], { encoding: "utf8" }).trim();
    return limit === "unlimited" ? 2 ** 64 : unit * Number(limit);
  };
  assert.equal(requireTotal(metrics, "process.max_fds"), ulimit("n", 1));
  assert.equal(requireTotal(metrics, "process.virtual_memory.max"), ulimit("v", 1024));
});

test("bytes sent and received over a socket are counted", onLinux, async () => {
  const size = 300_000;
  const server = createServer((socket) => socket.end(new Uint8Array(size))).listen(0, "127.0.0.1");
  await once(server, "listening");
  await collect(reader);
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  let received = 0;
  socket.on("data", (chunk) => received += chunk.length);
  await once(socket, "close");
  server.close();
  assert.equal(received, size);
  const metrics = await collect(reader);
  assert.ok(requireTotal(metrics, "process.network.receive") > size);
  assert.ok(requireTotal(metrics, "process.network.transmit") > size);
});

test("a source that fails later does not fail the others", async () => {
  const names = [...(await collect(reader)).keys()];
  const cpuUsage = process.cpuUsage;
  process.cpuUsage = () => {
    throw new Error("no CPU times today");
  };
  try {
    const rest = names.filter((name) => name !== "process.cpu");
    assert.deepEqual([...(await collect(reader)).keys()], rest);
  } finally {
    process.cpuUsage = cpuUsage;
  }
  assert.deepEqual([...(await collect(reader)).keys()], names);
});

test("nothing is recorded after removal", async () => {
  assert.ok((await collect(reader)).size > 0);
  remove();
  assert.equal((await collect(reader)).size, 0);
});
