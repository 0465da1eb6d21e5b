import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalTarget } from "../../plugin/mod.ts";

/** Dialled target -> `grpc.target`, as recorded from grpc-go 1.85.0. */
const TARGETS: readonly (readonly [dialled: string, canonical: string])[] = [
  ["localhost:50051", "dns:///localhost:50051"],
  ["localhost", "dns:///localhost"],
  [":50051", "dns:///:50051"],
  ["127.0.0.1:50051", "dns:///127.0.0.1:50051"],
  ["[::1]:50051", "dns:///[::1]:50051"],
  ["::1", "dns:///::1"],
  ["dns:localhost:50051", "dns:///localhost:50051"],
  ["dns:/localhost:50051", "dns:///localhost:50051"],
  ["dns://localhost:50051", "dns://localhost:50051/"],
  ["dns:///localhost:50051", "dns:///localhost:50051"],
  ["dns://8.8.8.8/example.com:443", "dns://8.8.8.8/example.com:443"],
  ["passthrough:localhost:50051", "passthrough:///localhost:50051"],
  ["passthrough:///localhost:50051", "passthrough:///localhost:50051"],
  ["unix:a/b.sock", "unix:///a/b.sock"],
  ["unix:/a/b.sock", "unix:///a/b.sock"],
  ["unix:///a/b.sock", "unix:///a/b.sock"],
  ["unix-abstract:abc", "unix-abstract:///abc"],
  ["ipv4:127.0.0.1:50051", "dns:///ipv4:127.0.0.1:50051"],
  ["ipv6:[::1]:50051", "dns:///ipv6:[::1]:50051"],
  ["xds:///svc", "xds:///svc"],
  ["UPPER.example.com:1", "dns:///UPPER.example.com:1"],
  ["DNS:///localhost:1", "dns:///localhost:1"],
  ["nosuch:///x:1", "dns:///nosuch:///x:1"],
  ["a b:1", "dns:///a b:1"],
  ["%41:1", "dns:///A:1"],
  ["http://localhost:1", "dns:///http://localhost:1"],
  ["", "dns:///"],
];

for (const [dialled, canonical] of TARGETS) {
  test(`the canonical form of "${dialled}" is ${canonical}`, () => {
    assert.equal(canonicalTarget(dialled), canonical);
  });
}

test("a scheme that the application registered a resolver for is kept", () => {
  assert.equal(canonicalTarget("man:///two", (scheme) => scheme === "man"), "man:///two");
});

test("a percent sign that escapes nothing is kept", () => {
  assert.equal(canonicalTarget("100%:1"), "dns:///100%:1");
});
