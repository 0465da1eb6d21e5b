/// <reference lib="dom" />
// Prometheus' page of one graph, in a real browser.

import { createRequire } from "node:module";
import type { Owner } from "../support/script.ts";

/** As much of Playwright as is used here. */
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

/** A browser that runs. */
export interface Browser {
  newPage(options: { viewport: { width: number; height: number } }): Promise<Page>;
  close(): Promise<void>;
}

interface Playwright {
  readonly chromium: {
    launch(options: { executablePath: string; args: readonly string[] }): Promise<Browser>;
  };
}

// It is a tool for tests, so it is in runtimes/ with the others: what the root's package.json lists,
// Deno resolves for whoever runs a script. From here no bare specifier leads there, and by a path
// Deno does not find its types.
const { chromium }: Playwright = createRequire(import.meta.url)(
  "../../runtimes/node_modules/playwright-core",
);

/** Wide enough for the labels of a series on one line, high enough for a graph and its legend. */
const VIEWPORT = { width: 1660, height: 860 };

/** Nothing but what the test asks for, and no more than a container allows. */
const BROWSER_ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts Chromium without a window; it is closed when the owner is done. */
export async function startBrowser(owner: Owner, executable: string): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: executable, args: BROWSER_ARGS });
  owner.after(() => browser.close());
  return browser;
}

/** What is to be seen on the page. */
export interface Graph {
  /** The query in its field. */
  readonly query: string;
  /** Texts of what the page complains of. */
  readonly alerts: readonly string[];
  /** The series as the legend names them, and the colours that it gives them, as CSS has them. */
  readonly legend: readonly { readonly series: string; readonly colour: string }[];
  /** How many lines have points. */
  readonly lines: number;
}

/**
 * A page of Prometheus' classic user interface, which is the one in Debian's package: `/graph` leads
 * to it there.
 */
export class GraphPage {
  readonly #page: Page;

  private constructor(page: Page) {
    this.#page = page;
  }

  /** Opens a URL and waits until everything is loaded. */
  static async open(browser: Browser, url: string): Promise<GraphPage> {
    const page = await browser.newPage({ viewport: VIEWPORT });
    await page.goto(url, { waitUntil: "networkidle" });
    return new GraphPage(page);
  }

  /** Whether this is the page that the other methods can read. */
  get isClassic(): boolean {
    return new URL(this.#page.url()).pathname === "/classic/graph";
  }

  /** Reads the page. */
  read(): Promise<Graph> {
    return this.#page.evaluate(readGraph);
  }

  /** Counts the pixels of the drawing that have exactly one of these colours. */
  async pixels(colours: readonly string[]): Promise<number> {
    const image = await this.#page.locator(".graph_area .graph > svg").screenshot();
    const png = Buffer.from(image).toString("base64");
    return await this.#page.evaluate(countPixels, { png, colours });
  }

  /** Keeps a picture of the page as far as the window shows it, in PNG. */
  async screenshot(path: string): Promise<void> {
    await this.#page.screenshot({ path });
  }
}

// The functions below run in the page, so they can use nothing of this module.

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
