/**
 * Takes the README's picture of the live page, `docs/page.png`, in two minutes of calls:
 *
 *   node runtimes/run.mjs node test/stack/page-picture.ts
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { PROJECT, startClient, startServer } from "../support/script.ts";
import { chromium } from "../tools.ts";
import { LivePage, startPageBrowser } from "./live-page.ts";

const SECONDS = 120;
const cleanUps: (() => Promise<void>)[] = [];
const owner = { after: (cleanUp: () => Promise<void>) => void cleanUps.unshift(cleanUp) };

try {
  const executable = await chromium();
  if (executable === undefined) throw new Error("Chromium is missing");
  const { address, metricsUrl } = await startServer(owner, "node", { ECHO_DELAY_MS: "24" });
  const load = (method: string, settings: Record<string, string>) =>
    startClient(owner, "node", { ECHO_ADDR: address, ECHO_METHOD: method, ...settings });
  await load("UnaryEcho", { ECHO_QPS: "30", ECHO_CONCURRENCY: "20" });
  await load("BidirectionalStreamingEcho", { ECHO_QPS: "6", ECHO_CONCURRENCY: "4" });
  await load("ServerStreamingEcho", { ECHO_QPS: "3", ECHO_CONCURRENCY: "4" });
  await load("ServerStreamingEcho", { ECHO_QPS: "1", ECHO_DEADLINE_MS: "15" });
  const viewport = { width: 1240, height: 730 };
  const browser = await startPageBrowser(owner, executable);
  const live = await LivePage.open(owner, browser, metricsUrl, { viewport });
  await delay(SECONDS / 3 * 1000);
  const burst = { ECHO_QPS: "60", ECHO_CONCURRENCY: "40", ECHO_DURATION_S: String(SECONDS / 4) };
  await load("UnaryEcho", burst);
  await delay(SECONDS * 2 / 3 * 1000);
  await live.page.screenshot({ path: `${PROJECT}docs/page.png` });
} finally {
  for (const cleanUp of cleanUps) await cleanUp();
}
