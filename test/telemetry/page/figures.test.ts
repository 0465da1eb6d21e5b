/** What the live page computes from the text of `/metrics`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, duration, facts, number, splitName } from "../../../telemetry/page/columns.ts";
import { labelsOf, nameOf, parseNumber, seriesOf } from "../../../telemetry/page/exposition.ts";
import { figuresOf, quantile } from "../../../telemetry/page/figures.ts";
import { MetricsReader, noCounts, type Snapshot } from "../../../telemetry/page/reader.ts";

/** Reads texts one after another, two seconds apart. */
function read(...texts: string[]): Snapshot[] {
  const reader = new MetricsReader();
  return texts.map((text, index) => {
    reader.add(text);
    return reader.end(2 * index);
  });
}

/** Returns the text of a server with one method. */
function server({ started, ended, buckets = [], seconds = 0, status = "OK" }: {
  started: number;
  ended: number;
  buckets?: readonly (readonly [le: string, count: number])[];
  seconds?: number;
  status?: string;
}): string {
  const name = "grpc_server_call_duration_seconds";
  const labels = `grpc_method="s/M",grpc_status="${status}"`;
  return [
    `grpc_server_call_started_total{grpc_method="s/M"} ${started}`,
    ...buckets.map(([le, count]) => `${name}_bucket{${labels},le="${le}"} ${count}`),
    `${name}_bucket{${labels},le="+Inf"} ${ended}`,
    `${name}_sum{${labels}} ${seconds}`,
    `${name}_count{${labels}} ${ended}`,
  ].join("\n") + "\n";
}

function row({ tables }: Snapshot) {
  return tables.server.get("s/M")!;
}

test("a line has a series and a number", () => {
  const lines = ["# HELP a b 1", "a 1", 'b{x="y z",le="+Inf"} 1e-05', "", "c"];
  assert.deepEqual(lines.map(seriesOf), ["", "a", 'b{x="y z",le="+Inf"}', "", ""]);
  const numbers = ["1", "1e-05", "+Inf", "-Inf", "NaN"].map(parseNumber);
  assert.deepEqual(numbers, [1, 0.00001, Infinity, -Infinity, NaN]);
});

test("labels lose their escapes, whatever they hold", () => {
  const series = String.raw`n{a="",b="} 1",c="x\"y\\n\nz",d="</script>, e=\"f\""}`;
  assert.equal(nameOf(series), "n");
  assert.deepEqual([...labelsOf(series)], [
    ["a", ""],
    ["b", "} 1"],
    ["c", 'x"y\\n\nz'],
    ["d", '</script>, e="f"'],
  ]);
  assert.deepEqual([...labelsOf("n")], []);
});

test("statuses, targets and scopes of a method are one row, client and server apart", () => {
  const count = "grpc_client_call_duration_seconds_count";
  const [snapshot] = read(
    server({ started: 5, ended: 3 }) + server({ started: 5, ended: 1, status: "ABORTED" }) +
      `${count}{grpc_method="s/M",grpc_status="OK",grpc_target="dns:///a"} 4
${count}{grpc_method="s/M",grpc_status="OK",grpc_target="dns:///b"} 5
grpc_client_attempt_started_total{grpc_method="s/M",grpc_target="dns:///a"} 7
grpc_client_attempt_duration_seconds_count{grpc_method="s/M",grpc_status="OK"} 6
grpc_subchannel_open_connections{grpc_target="dns:///a"} 2
grpc_client_call_retries_sum{grpc_method="s/M",grpc_target="dns:///a"} 3
`,
  );
  const { server: servers, client, connections, retries } = snapshot!.tables;
  const { calls, now, statuses } = servers.get("s/M")!;
  assert.deepEqual({ calls, now }, { calls: 4, now: 1 });
  assert.deepEqual([...statuses], [["OK", 3], ["ABORTED", 1]]);
  assert.equal(client.get("s/M")!.calls, 9);
  assert.equal(client.get("s/M")!.now, 1);
  assert.equal(connections.get("dns:///a")!.now, 2);
  assert.equal(retries.get("s/M")!.retries, 3);
});

test("a rate is the increase per second, from 0 for a series that appears", () => {
  const [first, second] = read(
    server({ started: 10, ended: 10 }),
    server({ started: 31, ended: 30 }) + server({ started: 31, ended: 4, status: "ABORTED" }),
  );
  const figures = figuresOf(row(second!), row(first!), 2);
  assert.equal(figures.of("calls"), 12);
  assert.deepEqual(figures.errors, [["ABORTED", 2]]);
});

test("a counter that falls began again at 0, and what was in flight ended with it", () => {
  const [first, , third] = read(
    server({ started: 100, ended: 90 }),
    server({ started: 110, ended: 100, buckets: [["1", 100]] }),
    server({ started: 5, ended: 3, buckets: [["1", 2]] }),
  );
  const figures = figuresOf(row(third!), row(first!), 4);
  assert.equal(figures.of("calls"), (10 + 3) / 4);
  assert.equal(figures.now, 2);
  assert.equal(row(third!).buckets.get(1), 102);
});

test("series that a new process does not have yet keep their totals and are not in flight", () => {
  const [, second] = read(server({ started: 100, ended: 90 }), "target_info 1\n");
  assert.equal(row(second!).calls, 90);
  assert.equal(row(second!).now, 0);
});

test("series may come and go in any order", () => {
  const started = (method: string, value: number) =>
    `grpc_server_call_started_total{grpc_method="${method}"} ${value}\n`;
  const [a, b, c] = [started("a", 1), started("b", 2), started("c", 3)];
  const inFlight = read(a + c, `# HELP x y\n${a}${b}${c}`, c, c + b + a).map(({ tables }) =>
    ["a", "b", "c"].map((method) => tables.server.get(method)?.now)
  );
  assert.deepEqual(inFlight, [[1, undefined, 3], [1, 2, 3], [0, 0, 3], [1, 2, 3]]);
});

test("quantiles are those of PromQL's histogram_quantile", () => {
  const cases: [number, [number, number][], number][] = [
    [0.5, [[1, 10], [2, 20], [Infinity, 20]], 1],
    [0.75, [[1, 10], [2, 20], [Infinity, 20]], 1.5],
    [0.5, [[Infinity, 20], [2, 20], [1, 0]], 1.5],
    [0.25, [[1, 10], [Infinity, 10]], 0.25],
    // The last bound is infinite, so the bound before it is the answer.
    [0.99, [[1, 10], [Infinity, 20]], 1],
    // Nothing is known below a first bound that is not positive.
    [0.5, [[0, 10], [1, 10], [Infinity, 10]], 0],
    [0.5, [[-1, 10], [1, 10], [Infinity, 10]], -1],
    [0.5, [[1, 0], [Infinity, 0]], NaN],
    [0.5, [[Infinity, 3]], NaN],
    [0.5, [[1, 3]], NaN],
    [0.5, [], NaN],
  ];
  for (const [q, buckets, expected] of cases) assert.equal(quantile(q, buckets), expected);
});

test("a histogram without buckets in the text has a mean instead", () => {
  const [native] = read(server({ started: 4, ended: 4, seconds: 2 }));
  assert.equal(figuresOf(row(native!)).mean, 0.5);
  assert.equal(figuresOf(row(native!)).quantile(0.5), NaN);
  const [classic] = read(server({ started: 4, ended: 4, seconds: 2, buckets: [["1", 4]] }));
  assert.equal(figuresOf(row(classic!)).mean, NaN);
  assert.equal(figuresOf(row(classic!)).quantile(0.5), 0.5);
  assert.equal(figuresOf(noCounts()).mean, NaN);
});

test("the facts are those of the process that answered last", () => {
  const target = (id: string) => `target_info{service_name="x",service_instance_id="${id}"} 1\n`;
  const [first, second] = read(
    `process_start_time_seconds 1.79584981164e+09\n${target("1")}`,
    `process_start_time_seconds NaN\n${target("2")}${server({ started: 1, ended: 1 })}`,
  );
  assert.deepEqual(facts(first!), [["Instance", "1"], ["Up since", "2026-11-28 07:10:11 UTC"]]);
  assert.deepEqual(facts(second!), [["Instance", "2"]]);
});

test("numbers have three digits and a unit that suits them", () => {
  assert.deepEqual([0, 0.001, 0.123, 1.234, 12.34, 123.4, 1234567].map(number), [
    ..."0 <0.01 0.12 1.23 12.3 123 1,234,567".split(" "),
  ]);
  assert.deepEqual([NaN, 0, 0.0000123, 0.0123, 1.23].map(duration), [
    "–",
    "0 s",
    "12.3 µs",
    "12.3 ms",
    "1.23 s",
  ]);
  assert.deepEqual([0, 999, 1e3, 1.5e6, 2e18].map(bytes), [
    "0 B",
    "999 B",
    "1 kB",
    "1.5 MB",
    "2,000 PB",
  ]);
});

test("a method's name is split behind its service", () => {
  assert.deepEqual(splitName("a.B/C"), ["a.B/", "C"]);
  assert.deepEqual(splitName("other"), ["", "other"]);
  assert.deepEqual(splitName("dns:///a:1"), ["dns:///", "a:1"]);
  assert.deepEqual(splitName("a/"), ["", "a/"]);
  assert.deepEqual(splitName(""), ["", ""]);
});
