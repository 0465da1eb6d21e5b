import assert from "node:assert/strict";
import { test } from "node:test";
import { acceptsGzip, negotiateFormat } from "../../prometheus/negotiate.ts";
import { OPEN_METRICS, PROMETHEUS_TEXT } from "../../prometheus/text/render.ts";
import { fixture } from "./recorded.ts";

const recorded: {
  accept: { accept: string; contentType: string }[];
  encoding: { acceptEncoding: string; contentEncoding: string }[];
} = JSON.parse(fixture("negotiation.json"));

test("the content type is the same as from promhttp", () => {
  assert.ok(recorded.accept.length > 30);
  for (const { accept, contentType } of recorded.accept) {
    const negotiated = negotiateFormat(accept);
    assert.equal(negotiated.contentType, contentType, accept);
    const openMetrics = contentType.startsWith("application/openmetrics-text");
    assert.equal(negotiated.format, openMetrics ? OPEN_METRICS : PROMETHEUS_TEXT, accept);
  }
});

test("without an Accept header the format is 0.0.4", () => {
  const { contentType } = negotiateFormat(undefined);
  assert.equal(contentType, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
});

test("q=0 refuses a format, unlike in promhttp", () => {
  const { format } = negotiateFormat("application/openmetrics-text;version=1.0.0;q=0");
  assert.equal(format, PROMETHEUS_TEXT);
});

const PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily";

test("Prometheus gets protobuf if it prefers it", () => {
  const prometheus2 = `${PROTOBUF};encoding=delimited,` +
    "application/openmetrics-text;version=1.0.0;q=0.8," +
    "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
  assert.deepEqual(negotiateFormat(prometheus2), {
    format: "protobuf",
    contentType: "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; " +
      "encoding=delimited; escaping=underscores",
    escaping: "underscores",
  });
  const prometheus3 = `${PROTOBUF};encoding=delimited;q=0.7,` +
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6";
  assert.equal(negotiateFormat(prometheus3).format, "protobuf");
  const last =
    `${PROTOBUF};encoding=delimited;q=0.1,application/openmetrics-text;version=1.0.0;q=0.6`;
  assert.equal(negotiateFormat(last).format, OPEN_METRICS);
});

test("unsupported formats of protobuf are never chosen", () => {
  const others = [
    `${PROTOBUF};encoding=text`,
    `${PROTOBUF};encoding=compact-text`,
    PROTOBUF,
    "application/vnd.google.protobuf;encoding=delimited",
    "application/vnd.google.protobuf;proto=io.prometheus.client.Other;encoding=delimited",
    "application/x-protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
  ];
  for (const other of others) {
    const accept = `${other};q=0.9,application/openmetrics-text;version=1.0.0;q=0.8`;
    assert.equal(negotiateFormat(accept).format, OPEN_METRICS, accept);
  }
});

test("the scraper chooses how names are escaped", () => {
  for (const scheme of ["allow-utf-8", "underscores", "dots", "values"]) {
    const { contentType, escaping } = negotiateFormat(
      `text/plain;version=0.0.4;escaping=${scheme}`,
    );
    assert.equal(contentType, `text/plain; version=0.0.4; charset=utf-8; escaping=${scheme}`);
    assert.equal(escaping, scheme);
  }
  assert.equal(negotiateFormat("text/plain;escaping=none").escaping, "underscores");
});

test("gzip is used if promhttp uses it", () => {
  assert.ok(recorded.encoding.length > 10);
  for (const { acceptEncoding, contentEncoding } of recorded.encoding) {
    assert.equal(acceptsGzip(acceptEncoding), contentEncoding === "gzip", acceptEncoding);
  }
  assert.equal(acceptsGzip(undefined), false);
  assert.equal(acceptsGzip("GZIP"), true);
  assert.equal(acceptsGzip("gzip;q=0.000"), false);
});
