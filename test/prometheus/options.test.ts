import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  type ExpositionOptions,
  PrometheusReader,
  renderOpenMetrics,
  renderPrometheusText,
  renderProtobuf,
  startScrapeEndpoint,
} from "../../prometheus/mod.ts";
import { type DecodedFamily, decodeFamilies } from "./metric-families.ts";
import { fixture, goText, record } from "./recorded.ts";

interface Case {
  readonly name: string;
  readonly options: Omit<ExpositionOptions, "withResourceConstantLabels"> & {
    readonly withResourceConstantLabels?: string;
  };
  readonly escaping?: string;
}

const CASES: Case[] = JSON.parse(fixture("options/cases.json"));

const TEXTS = [
  { file: "prom", accept: "text/plain;version=0.0.4", render: renderPrometheusText },
  {
    file: "openmetrics",
    accept: "application/openmetrics-text;version=1.0.0",
    render: renderOpenMetrics,
  },
];
const PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;" +
  "encoding=delimited";

for (const { name, options: recorded, escaping } of CASES) {
  const pattern = recorded.withResourceConstantLabels;
  const options: ExpositionOptions = {
    ...recorded,
    withResourceConstantLabels: pattern === undefined ? undefined : new RegExp(pattern, "g"),
  };

  test(`${name}: every scrape gets the same as from Go`, async () => {
    const reader = record("options/names");
    const endpoint = await startScrapeEndpoint({ reader, host: "127.0.0.1", port: 0, ...options });
    const scrape = async (accept: string) => {
      const suffix = escaping === undefined ? "" : `;escaping=${escaping}`;
      const response = await fetch(endpoint.url, { headers: { accept: accept + suffix } });
      assert.equal(response.status, 200);
      assert.match(
        response.headers.get("content-type") ?? "",
        new RegExp(`escaping=${escaping ?? "underscores"}$`),
      );
      return response;
    };
    try {
      for (const { file, accept } of [...TEXTS, ...TEXTS]) {
        const text = await (await scrape(accept)).text();
        const own = text.replace(/^.*\bpromhttp_metric_handler.*\n/gm, "");
        assert.equal(own, goText(`options/${name}.${file}`));
      }
      const families = decodeFamilies(await (await scrape(PROTOBUF)).bytes()).map(comparable);
      const own = families.filter((family) => !family.name.startsWith("promhttp_"));
      assert.deepEqual(own, goFamilies(name));
    } finally {
      await endpoint.close();
    }
  });

  // Texts without an endpoint are not escaped, and these have names with other characters.
  if (recorded.translationStrategy?.startsWith("No") && escaping !== "allow-utf-8") continue;
  test(`${name}: rendering without an endpoint gives the same`, async () => {
    const reader = record("options/names");
    for (const { file, render } of TEXTS) {
      const text = render(await reader.collect(), options);
      assert.equal(text, goText(`options/${name}.${file}`));
    }
    const families = decodeFamilies(renderProtobuf(await reader.collect(), options));
    assert.deepEqual(families.map(comparable), goFamilies(name));
  });
}

function goFamilies(name: string): DecodedFamily[] {
  const file = new URL(`./fixtures/options/${name}.pb`, import.meta.url);
  return decodeFamilies(readFileSync(file)).map(comparable);
}

/** Leaves out the times of the recording, and the empty labels that Go writes. */
function comparable(family: DecodedFamily): DecodedFamily {
  return JSON.parse(JSON.stringify(family, (key, value) => {
    if (key === "created_timestamp") return undefined;
    if (key !== "label") return value;
    const labels = (value as { name: string; value: string }[]).filter((label) =>
      label.name !== "otel_scope_schema_url" || label.value !== ""
    );
    return labels.length === 0 ? undefined : labels;
  }));
}

test("an unknown strategy and an empty namespace are errors", async () => {
  const address = { reader: new PrometheusReader(), host: "127.0.0.1", port: 0 };
  const translationStrategy = "underscores" as ExpositionOptions["translationStrategy"];
  await assert.rejects(startScrapeEndpoint({ ...address, translationStrategy }), {
    name: "RangeError",
    message: 'translationStrategy is "underscores", but must be one of ' +
      "UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes, " +
      "NoUTF8EscapingWithSuffixes, NoTranslation",
  });
  await assert.rejects(startScrapeEndpoint({ ...address, namespace: "--" }), {
    name: "RangeError",
    message: 'namespace is "--", but must have a letter or a digit',
  });
});
