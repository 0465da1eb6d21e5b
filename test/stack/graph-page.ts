/// <reference lib="dom" />
// Reads Prometheus' graph page in a real browser.

import { createRequire } from "node:module";
import type { Owner } from "../support/script.ts";

/** The parts of Playwright's page that are used here. */
interface Page {
  goto(url: string, options: { waitUntil: "networkidle" }): Promise<unknown>;
  url(): string;
  evaluate<Result>(inPage: () => Result): Promise<Result>;
  evaluate<Argument, Result>(
    inPage: (argument: Argument) => Promise<Result>,
    argument: Argument,
  ): Promise<Result>;
  locator(selector: string): { screenshot(): Promise<Uint8Array> };
  screenshot(options: { path: string }): Promise<unknown>;
}

/** A running browser. */
export interface Browser {
  newPage(options: { viewport: { width: number; height: number } }): Promise<Page>;
  close(): Promise<void>;
}

interface Playwright {
  readonly chromium: {
    launch(options: { executablePath: string; args: readonly string[] }): Promise<Browser>;
  };
}

// Playwright is installed in runtimes/, because Deno resolves everything in the root's
// package.json, even for users of the scripts. A bare specifier does not lead there from this file,
// and Deno finds no types for a path.
const { chromium }: Playwright = createRequire(import.meta.url)(
  "../../runtimes/node_modules/playwright-core",
);

/** Wide enough for a series' labels on one line, and high enough for a graph and its legend. */
const VIEWPORT = { width: 1660, height: 860 };

/** Disables background traffic, and everything that does not work in a container. */
const BROWSER_ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts Chromium without a window and closes it when the owner ends. */
export async function startBrowser(owner: Owner, executable: string): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: executable, args: BROWSER_ARGS });
  owner.after(() => browser.close());
  return browser;
}

/** The content of the page. */
export interface Graph {
  /** The text in the query field. */
  readonly query: string;
  /** The texts of visible alerts. */
  readonly alerts: readonly string[];
  /** The series in the legend with their CSS colours. */
  readonly legend: readonly { readonly series: string; readonly colour: string }[];
  /** How many lines are drawn. */
  readonly lines: number;
}

/**
 * The graph page of Prometheus' classic user interface, to which `/graph` leads in Debian's
 * package.
 */
export class GraphPage {
  readonly #page: Page;

  private constructor(page: Page) {
    this.#page = page;
  }

  /** Opens a URL and waits until the page has loaded. */
  static async open(browser: Browser, url: string): Promise<GraphPage> {
    const page = await browser.newPage({ viewport: VIEWPORT });
    await page.goto(url, { waitUntil: "networkidle" });
    return new GraphPage(page);
  }

  /** Whether this is the classic page, which the other methods require. */
  get isClassic(): boolean {
    return new URL(this.#page.url()).pathname === "/classic/graph";
  }

  /** Reads the page. */
  read(): Promise<Graph> {
    return this.#page.evaluate(readGraph);
  }

  /** Counts the pixels of the graph that have one of these colours. */
  async pixels(colours: readonly string[]): Promise<number> {
    const image = await this.#page.locator(".graph_area .graph > svg").screenshot();
    const png = Buffer.from(image).toString("base64");
    return await this.#page.evaluate(countPixels, { png, colours });
  }

  /** Saves a PNG screenshot of the visible part of the page. */
  async screenshot(path: string): Promise<void> {
    await this.#page.screenshot({ path });
  }
}

// The functions below run in the page and can't use anything from this module.

function readGraph(): Graph {
  const all = (selector: string) => [...document.querySelectorAll<HTMLElement>(selector)];
  return {
    query: document.querySelector("textarea")?.value ?? "",
    alerts: all(".alert").filter((alert) => alert.checkVisibility()).map((alert) =>
      alert.innerText
    ),
    legend: all(".legend li").map((item) => ({
      series: item.querySelector<HTMLElement>(".label")?.innerText ?? "",
      colour: item.querySelector<HTMLElement>(".swatch")?.style.backgroundColor ?? "",
    })),
    lines: all(".graph_area path.path").filter((line) => line.getAttribute("d")).length,
  };
}

async function countPixels(
  { png, colours }: { png: string; colours: readonly string[] },
): Promise<number> {
  const response = await fetch(`data:image/png;base64,${png}`);
  const bitmap = await createImageBitmap(await response.blob());
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d")!;
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const wanted = new Set(colours);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (wanted.has(`rgb(${data[i]}, ${data[i + 1]}, ${data[i + 2]})`)) count++;
  }
  return count;
}
