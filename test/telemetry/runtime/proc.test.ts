import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import {
  attempt,
  countEntries,
  parseNetstat,
  parseSoftLimit,
  parseVirtualMemory,
} from "../../../telemetry/runtime/proc.ts";

const STAT_TAIL = "S 4781 4781 3514 0 -1 4194560 3010 0 13 0 2 1 0 0 20 0 7 0 77586 " +
  "1440645120 11450 18446744073709551615 7626752 52430497 140720702232800 0 0 0 0\n";

const LIMITS = `Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max open files            1024                 524288               files     
Max address space         unlimited            unlimited            bytes     
Max file locks            unlimited            unlimited            locks     
`;

const NETSTAT = `TcpExt: SyncookiesSent InOctets
TcpExt: 1 2
IpExt: InNoRoutes InTruncatedPkts InMcastPkts InOctets OutOctets InMcastOctets
IpExt: 0 0 0 442807166 843388 0
`;

test("virtual memory is field 23 of stat for any command name", () => {
  assert.equal(parseVirtualMemory(`4784 (MainThread) ${STAT_TAIL}`), 1440645120);
  assert.equal(parseVirtualMemory(`4784 (a b) S (c) ${STAT_TAIL}`), 1440645120);
  assert.equal(parseVirtualMemory(""), undefined);
  assert.equal(parseVirtualMemory("4784 (cut) S 1 2"), undefined);
});

test("limits are the soft ones, and unlimited is 2^64 - 1 as a double", () => {
  assert.equal(parseSoftLimit(LIMITS, "Max open files"), 1024);
  assert.equal(parseSoftLimit(LIMITS, "Max address space"), 18446744073709552000);
  assert.equal(parseSoftLimit(LIMITS, "Max of something else"), undefined);
  assert.equal(parseSoftLimit("", "Max open files"), undefined);
});

test("netstat counters are found by protocol and name", () => {
  assert.equal(parseNetstat(NETSTAT, "IpExt", "InOctets"), 442807166);
  assert.equal(parseNetstat(NETSTAT, "IpExt", "OutOctets"), 843388);
  assert.equal(parseNetstat(NETSTAT, "IpExt", "Missing"), undefined);
  assert.equal(parseNetstat(NETSTAT, "MPTcpExt", "InOctets"), undefined);
  assert.equal(parseNetstat("IpExt: InOctets\n", "IpExt", "InOctets"), undefined);
  assert.equal(parseNetstat("", "IpExt", "InOctets"), undefined);
});

test("the descriptor count is the same with and without the kernel's own count", {
  skip: process.platform !== "linux",
}, () => {
  // fdinfo has the same entries as fd, but its size is always 0, like that of fd before Linux 6.2.
  const open = countEntries("/proc/self/fd");
  assert.ok(open > 2);
  assert.equal(countEntries("/proc/self/fdinfo"), open);
});

test("a source that throws has no value", () => {
  assert.equal(attempt(() => 7), 7);
  assert.equal(attempt(() => countEntries("/proc/self/missing")), undefined);
});
