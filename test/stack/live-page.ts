/// <reference lib="dom" />
// Drives the live page of /metrics in a real browser.

import { eventually } from "../support/eventually.ts";
import type { Owner } from "../support/script.ts";
import { startBrowser } from "./graph-page.ts";

interface PageOptions {
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly colorScheme?: "light" | "dark";
  readonly javaScriptEnabled?: boolean;
}

interface Request {
  url(): string;
}

/** The parts of Playwright's page that are used here. */
interface Page {
  on(event: "request", listener: (request: Request) => void): void;
  on(event: "requestfinished", listener: (request: Request) => void): void;
  on(event: "console", listener: (message: { text(): string }) => void): void;
  on(event: "pageerror", listener: (error: Error) => void): void;
  goto(url: string): Promise<unknown>;
  emulateMedia(options: { colorScheme: "light" | "dark" }): Promise<void>;
  evaluate<Result>(inPage: () => Result | Promise<Result>): Promise<Result>;
  evaluate<Argument, Result>(
    inPage: (argument: Argument) => Result | Promise<Result>,
    argument: Argument,
  ): Promise<Result>;
  readonly keyboard: { press(key: string): Promise<void>; type(text: string): Promise<void> };
  screenshot(options: { path: string }): Promise<unknown>;
  close(): Promise<void>;
}

export interface Browser {
  newPage(options: PageOptions): Promise<Page>;
}

/** Starts the browser. */
export async function startPageBrowser(owner: Owner, executable: string): Promise<Browser> {
  return await startBrowser(owner, executable) as unknown as Browser;
}

/** One row of a table by the headings of its columns, for example `{ "Calls/s": ["3", "9 in all"] }`. */
export type Row = Readonly<Record<string, readonly string[]>>;

/** The page in a browser. */
export class LivePage {
  readonly page: Page;
  /** The URLs that were asked for. */
  readonly requests: string[] = [];
  /** How often the page has read /metrics. */
  readings = 0;
  /** What the browser complains about: errors, and violations of the policy. */
  readonly complaints: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.on("request", (request) => this.requests.push(request.url()));
    page.on("requestfinished", (request) => {
      if (request.url().includes("/metrics?")) this.readings++;
    });
    page.on("console", (message) => this.complaints.push(message.text()));
    page.on("pageerror", (error) => this.complaints.push(error.message));
  }

  /** Opens the page of an endpoint, and closes it when the owner ends. */
  static async open(
    owner: Owner,
    browser: Browser,
    metricsUrl: string,
    options: PageOptions = {},
  ): Promise<LivePage> {
    const live = new LivePage(
      await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options }),
    );
    owner.after(() => live.page.close());
    await live.page.goto(new URL("/", metricsUrl).href);
    return live;
  }

  /** Waits for some more readings. */
  async read(times: number): Promise<void> {
    const wanted = this.readings + times;
    await eventually(() => {
      if (this.readings < wanted) throw new Error("the page does not read /metrics");
    }, 30_000);
  }

  /** Presses the button and waits until the last reading is over. */
  async pause(): Promise<void> {
    await this.page.evaluate(() => document.getElementById("pause")!.click());
    await eventually(() => {
      if (this.readings + 1 < this.requests.length) throw new Error("the page still reads");
    });
  }

  /** Returns the seconds between the first reading and the last one. */
  seconds(): Promise<number> {
    return this.page.evaluate(() => {
      const entries = performance.getEntriesByType("resource") as PerformanceResourceTiming[];
      const times = entries.filter(({ name }) => name.includes("/metrics?"))
        .map(({ responseStart }) => responseStart);
      return (times.at(-1)! - times[0]!) / 1000;
    });
  }

  /** Returns the rows of a table that are shown, by name, in their order. */
  rows(heading: string): Promise<Record<string, Row>> {
    return this.page.evaluate(rowsOf, heading);
  }

  /** The text of an element. */
  text(selector: string): Promise<string> {
    return this.page.evaluate(
      (selector) => document.querySelector<HTMLElement>(selector)?.innerText ?? "",
      selector,
    );
  }
}

/** Runs in the page and can't use anything from this module. */
function rowsOf(heading: string): Record<string, Row> {
  const sections = [...document.querySelectorAll("section")];
  const section = sections.find((section) => section.querySelector("h2")?.textContent === heading);
  const headings = [...section?.querySelectorAll("thead th") ?? []].map((th) => th.textContent!);
  const shown = [...section?.querySelectorAll("tbody tr") ?? []]
    .filter((row) => row.checkVisibility());
  return Object.fromEntries(shown.map((row) => {
    const cells = [...row.querySelectorAll<HTMLElement>("td")].map((cell, index) => {
      return [headings[index + 1]!, cell.innerText.split("\n").filter((line) => line !== "")];
    });
    return [row.querySelector("th")!.textContent!, Object.fromEntries(cells)];
  }));
}
