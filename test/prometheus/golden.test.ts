import assert from "node:assert/strict";
import { test } from "node:test";
import {
  renderOpenMetrics,
  renderPrometheusText,
  startScrapeEndpoint,
} from "../../prometheus/mod.ts";
import { goText, record } from "./recorded.ts";

const FORMATS = [
  { file: "prom", accept: "text/plain", render: renderPrometheusText },
  {
    file: "openmetrics",
    accept: "application/openmetrics-text;version=1.0.0",
    render: renderOpenMetrics,
  },
];

for (const data of ["empty", "names", "numbers", "conflicts", "rich"]) {
  for (const { file, accept, render } of FORMATS) {
    test(`${data}: the first scrape gets the same text as from Go, ${file}`, async () => {
      const reader = record(data);
      const endpoint = await startScrapeEndpoint({ reader, host: "127.0.0.1", port: 0 });
      try {
        const response = await fetch(endpoint.url, { headers: { accept } });
        assert.equal(response.status, 200);
        assert.equal(await response.text(), goText(`${data}.${file}`));
      } finally {
        await endpoint.close();
      }
    });

    test(`${data}: rendering without an endpoint gives the same text, ${file}`, async () => {
      const text = render(await record(data).collect());
      assert.equal(text, withoutHandlerMetrics(goText(`${data}.${file}`)));
    });
  }
}

test("a second collection of the same data gives the same text", async () => {
  const reader = record("rich");
  const first = renderPrometheusText(await reader.collect());
  assert.equal(renderPrometheusText(await reader.collect()), first);
});

function withoutHandlerMetrics(text: string): string {
  return text.replace(/^.*\bpromhttp_metric_handler.*\n/gm, "");
}
