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
  on(event: "console", listener: (message: { text(): string }) => void): void;
  on(event: "pageerror", listener: (error: Error) => void): void;
  addInitScript(inPage: () => void): Promise<void>;
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

/** The page's readings of `/metrics`. */
interface Readings {
  /** How many have begun and are not over. */
  running: number;
  /** When each that is shown was made, in seconds since the page was opened. */
  readonly shown: number[];
}

declare global {
  var readings: Readings;
}

/** One row of a table by the headings of its columns, for example `{ "Calls/s": ["3", "9 in all"] }`. */
export type Row = Readonly<Record<string, readonly string[]>>;

/** The page in a browser. */
export class LivePage {
  readonly page: Page;
  /** The URLs that were asked for. */
  readonly requests: string[] = [];
  /** What the browser complains about: errors, and violations of the policy. */
  readonly complaints: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.on("request", (request) => this.requests.push(request.url()));
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
    await live.page.addInitScript(recordReadings);
    await live.page.goto(new URL("/", metricsUrl).href);
    return live;
  }

  /** Waits until the page shows some more readings. */
  async read(times: number): Promise<void> {
    const wanted = (await this.#readings()).shown.length + times;
    await eventually(async () => {
      const { shown } = await this.#readings();
      if (shown.length < wanted) throw new Error("the page does not read /metrics");
    }, 30_000);
  }

  /** Presses the button and waits until the last reading is shown. */
  async pause(): Promise<void> {
    await this.page.evaluate(() => document.getElementById("pause")!.click());
    await eventually(async () => {
      const { running } = await this.#readings();
      if (running > 0) throw new Error("the page still reads");
    }, 20_000);
  }

  /** Returns the seconds that rates cover: those between the readings of the last minute. */
  async seconds(): Promise<number> {
    const { shown } = await this.#readings();
    const last = shown.at(-1)!;
    return last - shown.find((at) => last - at <= 60)!;
  }

  #readings(): Promise<Readings> {
    return this.page.evaluate(() => globalThis.readings);
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

// The functions below run in the page and can't use anything from this module.

/** Records when the page reads, by the clock that the page itself reads at the same moment. */
function recordReadings(): void {
  const readings: Readings = { running: 0, shown: [] };
  globalThis.readings = readings;
  const { fetch } = globalThis;
  globalThis.fetch = async (...args) => {
    readings.running++;
    // A task runs after all that the page does with an answer or with an error.
    const end = () => setTimeout(() => readings.running--);
    const response = await fetch(...args).catch((error) => {
      end();
      throw error;
    });
    const at = performance.now() / 1000;
    const read = response.text.bind(response);
    response.text = async () => {
      try {
        const text = await read();
        setTimeout(() => readings.shown.push(at));
        return text;
      } finally {
        end();
      }
    };
    return response;
  };
}

/** Reads a table. */
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
