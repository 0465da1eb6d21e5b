import assert from "node:assert/strict";
import { test } from "node:test";
import { type InstrumentKind, labelName, metricName } from "../../prometheus/families/names.ts";

// The fixture "names" has 170 more, recorded in Go.
const METRICS: [string, string, InstrumentKind, string | undefined][] = [
  ["grpc.server.call.started", "{call}", "counter", "grpc_server_call_started_total"],
  ["grpc.server.call.duration", "s", "histogram", "grpc_server_call_duration_seconds"],
  [
    "grpc.client.call.delay.duration",
    "s",
    "histogram",
    "grpc_client_call_delay_duration_seconds",
  ],
  ["grpc.client.call.retries", "{retry}", "histogram", "grpc_client_call_retries"],
  ["grpc.lb.wrr.endpoint_weights", "{weight}", "histogram", "grpc_lb_wrr_endpoint_weights"],
  ["system.cpu.utilization", "1", "gauge", "system_cpu_utilization_ratio"],
  ["system.cpu.utilization", "1", "upDownCounter", "system_cpu_utilization"],
  ["process.disk.io", "By/s", "gauge", "process_disk_io_bytes_per_second"],
  ["requests", "{request}/s", "gauge", "requests_per_second"],
  ["requests.total", "1", "counter", "requests_total"],
  ["latency.seconds", "s", "gauge", "latency_seconds"],
  ["a--b__c..d", "", "gauge", "a_b_c_d"],
  ["0abc", "", "gauge", "_0abc"],
  ["größe", "", "gauge", "gr_e"],
  ["rule:sum", "", "gauge", "rule:sum"],
  ["_x_", "", "gauge", "x"],
  ["___", "", "gauge", undefined],
  ["", "", "gauge", undefined],
  ["", "s", "gauge", "seconds"],
];

test("metric names have valid characters, the unit and a suffix for the kind", () => {
  for (const [name, unit, kind, expected] of METRICS) {
    assert.equal(metricName(name, unit, kind), expected, `${name} ${unit} ${kind}`);
  }
});

const LABELS: [string, string | undefined][] = [
  ["grpc.method", "grpc_method"],
  ["a..b__c", "a_b_c"],
  ["1a", "key_1a"],
  ["_a", "_a"],
  ["__a", "_a"],
  ["größe", "gr_e"],
  ["a:b", "a_b"],
  ["__name__", undefined],
  ["____", undefined],
  ["...", undefined],
  ["", undefined],
];

test("label names have valid characters, and reserved ones are refused", () => {
  for (const [key, expected] of LABELS) assert.equal(labelName(key), expected, key);
});
