// Started by exit.test.ts: serves metrics, and then has nothing more to do.
import process from "node:process";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { PrometheusReader, startScrapeEndpoint } from "../../prometheus/mod.ts";

const reader = new PrometheusReader();
const provider = new MeterProvider({ readers: [reader] });
provider.getMeter("m").createCounter("c").add(1);
const endpoint = await startScrapeEndpoint({ reader, host: "127.0.0.1", port: 0 });
const mode = process.argv[2];
if (mode === "wait") {
  // The parent opens connections, keeps them open, and then writes to standard input.
  console.log(endpoint.url);
  await new Promise((resolve) => process.stdin.once("data", resolve));
  process.stdin.destroy();
} else if (mode === "close") {
  await endpoint.close();
  console.log("closed");
} else {
  console.log("listening");
}
