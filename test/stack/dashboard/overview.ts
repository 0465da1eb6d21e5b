/// <reference lib="dom" />
// Draws a whole dashboard in a real browser, with the library that Grafana draws with.

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { Browser } from "../graph-page.ts";
import { WIDTH } from "./drawing.ts";
import type { Drawing } from "./drawing.ts";

/** The parts of Playwright's page that are used here. */
interface Page {
  on(event: "pageerror", listener: (error: Error) => void): void;
  setContent(html: string): Promise<void>;
  addScriptTag(options: { path: string }): Promise<unknown>;
  addStyleTag(options: { path: string }): Promise<unknown>;
  evaluate<Argument, Result>(
    inPage: (argument: Argument) => Result | Promise<Result>,
    argument: Argument,
  ): Promise<Result>;
  screenshot(): Promise<Uint8Array>;
  close(): Promise<void>;
}

// In runtimes/, like Playwright: see graph-page.ts.
const require = createRequire(import.meta.url);
const library = require.resolve("../../../runtimes/node_modules/uplot/dist/uPlot.iife.min.js");

const STYLE = `
  body { margin: 0; background: #eee; font: 12px Inter, "Liberation Sans", Arial, sans-serif; color: #222; }
  section { position: absolute; display: flex; flex-direction: column; }
  section.panel { background: #fff; outline: 1px solid #ddd; }
  h2 { font-size: 13px; margin: 0; padding: 8px; }
  .row h2 { font-size: 16px; padding: 4px 0; }
  .graph { flex: 1; min-height: 0; }
  .message { flex: 1; display: grid; place-items: center; padding: 0 20px; color: #666;
    overflow-wrap: anywhere; text-align: center; }
  /* As in Grafana, which scrolls a longer legend: 35% of what is below the title. */
  .legend { max-height: calc(0.35 * (100% - 31px)); overflow: hidden; padding: 2px 8px; flex: none; line-height: 17px; }
  .legend span { margin-right: 12px; white-space: nowrap; display: inline-block; max-width: 100%;
    overflow: hidden; text-overflow: ellipsis; }
  .legend i { display: inline-block; width: 14px; height: 4px; border-radius: 2px; margin-right: 5px;
    vertical-align: middle; }`;

/** What the page shows of a panel. */
export interface Shown {
  readonly title: string;
  /** The message of a panel without data. */
  readonly message: string;
  /** How many entries the legend has, and how many of them are cut off. */
  readonly entries: number;
  readonly hidden: number;
  /** How many pixels the graph has that are neither empty nor part of the grid. */
  readonly pixels: number;
}

/**
 * Draws panels at their places.
 *
 * @returns The picture as PNG, and what is shown of each panel.
 */
export async function drawOverview(
  browser: Browser,
  drawings: readonly Drawing[],
): Promise<{ png: Uint8Array; shown: readonly Shown[] }> {
  const height = Math.max(...drawings.map((each) => Math.ceil(each.top + each.height)));
  const margin = 8;
  const viewport = { width: WIDTH + 2 * margin, height: height + 2 * margin };
  const page = await browser.newPage({ viewport }) as unknown as Page;
  const errors: Error[] = [];
  page.on("pageerror", (error) => errors.push(error));
  await page.setContent(`<!doctype html><meta charset="utf-8"><style>${STYLE}</style>`);
  await page.addStyleTag({
    path: fileURLToPath(new URL("uPlot.min.css", new URL(`file://${library}`))),
  });
  await page.addScriptTag({ path: library });
  await page.evaluate(drawAll, { drawings, margin });
  const png = await page.screenshot();
  const shown = await page.evaluate(readAll, undefined);
  await page.close();
  if (errors.length > 0) throw new AggregateError(errors, `the page fails: ${errors[0]!.message}`);
  return { png, shown };
}

// The functions below run in the page and can't use anything from this module.

/** The parts of uPlot that are used here. */
interface Plot {
  readonly ctx: CanvasRenderingContext2D;
  readonly bbox: { readonly left: number; readonly width: number };
  valToPos(value: number, scale: string, canvasPixels: true): number;
}
declare const uPlot: new (options: unknown, data: unknown, target: HTMLElement) => Plot;

function drawAll(
  { drawings, margin }: { drawings: readonly Drawing[]; margin: number },
): void {
  const add = (parent: HTMLElement, tag: string, className: string, text = "") => {
    const element = parent.appendChild(document.createElement(tag));
    element.className = className;
    element.textContent = text;
    return element;
  };
  for (const { title, left, top, width, height, message, graph } of drawings) {
    const isRow = message === undefined && graph === undefined;
    const section = add(document.body, "section", isRow ? "row" : "panel");
    Object.assign(section.style, {
      left: `${left + margin}px`,
      top: `${top + margin}px`,
      width: `${width}px`,
      height: `${height}px`,
    });
    add(section, "h2", "", title);
    if (message !== undefined) add(section, "div", "message", message);
    if (graph === undefined) continue;
    const box = add(section, "div", "graph");
    const legend = add(section, "div", "legend");
    for (const line of graph.lines) {
      const entry = add(legend, "span", "");
      add(entry, "i", "").style.background = line.colour;
      entry.append(line.legend);
    }

    const { seconds, ticks, lines, cells } = graph;
    const half = (seconds[1]! - seconds[0]!) / 2;
    const drawCells = (plot: Plot) => {
      for (const { time, low, high, colour } of cells) {
        const at = (value: number, scale: string) => plot.valToPos(value, scale, true);
        const [from, to] = [at(seconds[time]! - half, "x"), at(seconds[time]! + half, "x")];
        const [bottom, upper] = [at(low, "y"), at(high, "y")];
        plot.ctx.fillStyle = colour;
        const gap = to - from > 4 ? 1 : 0;
        plot.ctx.fillRect(from, upper, to - from - gap, Math.max(bottom - upper - gap, 1));
      }
    };
    // Leaves out labels for which there is no room.
    const { clientWidth, clientHeight } = box;
    const every = Math.ceil(ticks.length / Math.max(2, Math.floor((clientHeight - 40) / 22)));
    const labels = ticks.filter((_, index) => index % every === 0);
    new uPlot(
      {
        width: clientWidth,
        height: clientHeight,
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { range: [seconds[0]! - half, seconds.at(-1)! + half] },
          y: { range: [ticks[0]!.at, ticks.at(-1)!.at] },
        },
        axes: [
          { values: "{HH}:{mm}", grid: { stroke: "#eee", width: 1 }, space: 55, size: 28 },
          {
            splits: labels.map(({ at }) => at),
            values: labels.map(({ label }) => label),
            grid: { stroke: "#eee", width: 1 },
            size: 84,
          },
        ],
        series: [
          {},
          ...lines.map(({ colour, width, opacity }) => ({
            stroke: colour,
            width,
            fill: colour + Math.round(opacity * 255).toString(16).padStart(2, "0"),
            points: { show: false },
            spanGaps: false,
          })),
        ],
        hooks: { draw: [drawCells] },
      },
      [seconds, ...lines.map(({ values }) => values)],
      box,
    );
  }
}

function readAll(): Shown[] {
  return [...document.querySelectorAll("section.panel")].map((section) => {
    const legend = section.querySelector(".legend");
    const bottom = legend?.getBoundingClientRect().bottom ?? 0;
    const entries = [...legend?.children ?? []];
    const canvas = section.querySelector("canvas");
    let pixels = 0;
    if (canvas !== null) {
      const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
      // Axes and their labels are grey.
      for (let i = 0; i < data.length; i += 4) {
        if (Math.abs(data[i]! - data[i + 2]!) + Math.abs(data[i + 1]! - data[i]!) > 20) pixels++;
      }
    }
    return {
      title: section.querySelector("h2")!.textContent!,
      message: section.querySelector(".message")?.textContent ?? "",
      entries: entries.length,
      hidden: entries.filter((each) => each.getBoundingClientRect().bottom > bottom + 4).length,
      pixels,
    };
  });
}
