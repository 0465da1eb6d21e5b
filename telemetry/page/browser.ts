/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * The script of the page. `npm run page` makes `script.ts` of it, and `npm/page-script.ts` says why.
 *
 * @module
 */

import { type Column, facts, LAST_MINUTE, splitName, TABLE_TEXTS, titleOf } from "./columns.ts";
import { type Figures, figuresOf } from "./figures.ts";
import { MetricsReader, type Snapshot, type Table, TABLES } from "./reader.ts";

const PERIOD_MS = 2000;
const PATIENCE_MS = 10_000;
/** The time that rates and quantiles cover, and the least and the most that curves cover. */
const WINDOW_S = 60;
const SHORT_CURVE_S = 30;
const CURVE_S = 300;
/** The size of a curve in its own units. */
const WIDTH = 100;
const HEIGHT = 24;

const reader = new MetricsReader();
/** The readings of the last minute, and the times of those that curves show. */
let snapshots: Snapshot[] = [];
let times: number[] = [];
let tables = new Map<Table, LiveTable>();
let timer: ReturnType<typeof setTimeout> | undefined;
let isReading = false;

const byId = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const filter = byId<HTMLInputElement>("filter");
const pause = byId<HTMLButtonElement>("pause");

/** Creates an element. Text is never parsed as HTML. */
function create(
  name: string,
  attributes: Readonly<Record<string, string>> = {},
  ...content: (Node | string)[]
) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...content);
  return element;
}

function createSvg(name: string, attributes: Readonly<Record<string, string>>): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** One number with its curve. */
class Cell {
  readonly element: HTMLElement;
  readonly #column: Column;
  readonly #number = create("div");
  readonly #more = create("div");
  readonly #path = createSvg("path", {});
  readonly #values: number[] = [];
  #text = "";
  #curve = "";

  constructor(column: Column) {
    this.#column = column;
    const view = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" };
    const svg = createSvg("svg", { ...view, "aria-hidden": "true" });
    svg.append(this.#path);
    const attributes = { role: "cell", "data-heading": headingOf(column) };
    this.element = create("td", attributes, this.#number, svg, this.#more);
  }

  update(figures: Figures, totals: Figures): void {
    this.#values.push(this.#column.value(figures));
    while (this.#values.length > times.length) this.#values.shift();
    const [first = "", ...more] = this.#column.lines(figures, totals);
    const text = [first, ...more].join("\n");
    if (text === this.#text) return;
    this.#text = text;
    setText(this.#number, first);
    this.#more.replaceChildren(...more.map((line) => create("small", {}, line)));
  }

  draw(): void {
    const curve = curveOf(this.#values);
    if (curve === this.#curve) return;
    this.#curve = curve;
    this.#path.setAttribute("d", curve);
  }
}

/** Returns the path of the values at the last times, from 0 up to the highest; empty if all are 0. */
function curveOf(values: readonly number[]): string {
  const highest = Math.max(...values.filter(Number.isFinite));
  if (!(highest > 0)) return "";
  const now = times.at(-1)!;
  const span = Math.max(now - times[0]!, SHORT_CURVE_S);
  const first = times.length - values.length;
  let path = "";
  let isDown = false;
  for (const [index, value] of values.entries()) {
    if (Number.isFinite(value)) {
      const x = WIDTH * (1 - (now - times[first + index]!) / span);
      const y = (HEIGHT - 1) * (1 - value / highest) + 0.5;
      path += `${isDown ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
      if (!isDown) path += "h0";
    }
    isDown = Number.isFinite(value);
  }
  return path;
}

function headingOf({ heading, isRate }: Column): string {
  return isRate ? `${heading}/s` : heading;
}

class Row {
  readonly name: string;
  readonly element: HTMLElement;
  readonly #cells: readonly Cell[];
  /** The number of calls per second, rounded so much that rows rarely change places. */
  traffic = 0;
  isInView = false;

  constructor(name: string, columns: readonly Column[]) {
    this.name = name;
    this.#cells = columns.map((column) => new Cell(column));
    const [service, method] = splitName(name);
    const texts = [create("small", {}, service), method];
    const heading = create("th", { role: "rowheader", scope: "row" }, ...texts);
    this.element = create(
      "tr",
      { role: "row" },
      heading,
      ...this.#cells.map(({ element }) => element),
    );
    rowOf.set(this.element, this);
    inView.observe(this.element);
  }

  update(figures: Figures, totals: Figures): void {
    this.traffic = Math.round(Math.log2(figures.of("calls") + 0.001));
    for (const cell of this.#cells) cell.update(figures, totals);
    if (this.isInView) this.draw();
  }

  draw(): void {
    for (const cell of this.#cells) cell.draw();
  }
}

/** Curves are drawn only where they can be seen. */
const rowOf = new WeakMap<Element, Row>();
const inView = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const row = rowOf.get(target)!;
    row.isInView = isIntersecting;
    if (isIntersecting) row.draw();
  }
});

class LiveTable {
  readonly element: HTMLElement;
  readonly #table: Table;
  readonly #body = create("tbody", { role: "rowgroup" });
  readonly #rows = new Map<string, Row>();

  constructor(table: Table) {
    this.#table = table;
    const { heading, caption, rows, columns } = TABLE_TEXTS[table];
    const headings = [rows, ...columns.map(headingOf)]
      .map((text) => create("th", { role: "columnheader", scope: "col" }, text));
    this.element = create(
      "section",
      { "aria-labelledby": table },
      create("h2", { id: table }, heading),
      create(
        "table",
        { class: table, role: "table" },
        create("caption", {}, `${caption}, ${LAST_MINUTE}`),
        create("thead", { role: "rowgroup" }, create("tr", { role: "row" }, ...headings)),
        this.#body,
      ),
    );
  }

  update(now: Snapshot, before: Snapshot): void {
    const seconds = now.at - before.at;
    const earlier = before.tables[this.#table];
    for (const [name, counts] of now.tables[this.#table]) {
      let row = this.#rows.get(name);
      if (row === undefined) {
        row = new Row(name, TABLE_TEXTS[this.#table].columns);
        this.#rows.set(name, row);
      }
      row.update(figuresOf(counts, earlier.get(name), seconds), figuresOf(counts));
    }
    this.#sort();
  }

  /** Puts the rows with the most traffic first, and moves no others. */
  #sort(): void {
    const rows = [...this.#rows.values()]
      .sort((a, b) => b.traffic - a.traffic || (a.name < b.name ? -1 : 1));
    let next = this.#body.firstElementChild;
    for (const { element } of rows) {
      if (element === next) next = next.nextElementSibling;
      else this.#body.insertBefore(element, next);
    }
  }

  /** Hides rows without the text, and returns how many are shown. */
  filter(text: string): number {
    let shown = 0;
    for (const { name, element } of this.#rows.values()) {
      element.hidden = !name.toLowerCase().includes(text);
      if (!element.hidden) shown++;
    }
    this.element.hidden = shown === 0;
    return shown;
  }
}

function show(now: Snapshot): void {
  setText(byId("title"), titleOf(now));
  const pairs = facts(now);
  const texts = byId("facts");
  if (texts.textContent !== pairs.flat().join("")) {
    texts.replaceChildren(
      ...pairs.map(([name, text]) =>
        create("div", {}, create("dt", {}, name), create("dd", {}, text))
      ),
    );
  }
  const before = snapshots[0]!;
  if (before === now) return;
  for (const table of TABLES) {
    if (now.tables[table].size === 0) continue;
    if (!tables.has(table)) tables.set(table, new LiveTable(table));
    tables.get(table)!.update(now, before);
  }
  const elements = TABLES.flatMap((table) => tables.get(table)?.element ?? []);
  const shown = [...byId("tables").children];
  if (elements.length > 0 && elements.some((element, index) => element !== shown[index])) {
    byId("tables").replaceChildren(...elements);
  }
  applyFilter();
}

/** Keeps the readings of the last minute. After a longer pause, begins again. */
function remember(now: Snapshot): void {
  const last = snapshots.at(-1);
  if (last !== undefined && now.at - last.at > WINDOW_S) {
    snapshots = [];
    times = [];
    tables = new Map();
  }
  snapshots = [...snapshots, now].filter(({ at }) => now.at - at <= WINDOW_S);
  if (snapshots.length > 1) times = [...times, now.at].filter((at) => now.at - at <= CURVE_S);
}

function applyFilter(): void {
  const text = filter.value.trim().toLowerCase();
  let shown = 0;
  for (const table of tables.values()) shown += table.filter(text);
  setText(byId("matches"), text === "" ? "" : `${shown} rows`);
}

/** Tells a change of state, which screen readers announce. */
function say(state: string): void {
  setText(byId("status"), state);
}

async function read(): Promise<void> {
  if (isReading) return;
  isReading = true;
  const started = performance.now();
  try {
    const response = await fetch(byId<HTMLAnchorElement>("source").href, {
      headers: { accept: "text/plain;version=0.0.4" },
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const at = performance.now() / 1000;
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text.trim()}`);
    reader.add(text);
    const now = reader.end(at);
    remember(now);
    show(now);
    if (!isPaused()) say("Live: read every two seconds");
  } catch (error) {
    say(`/metrics cannot be read, trying again: ${error instanceof Error ? error.message : error}`);
  }
  isReading = false;
  schedule(PERIOD_MS - (performance.now() - started));
}

function isPaused(): boolean {
  return pause.getAttribute("aria-pressed") === "true";
}

/** Reads again later, unless nobody looks. */
function schedule(delay: number): void {
  clearTimeout(timer);
  if (isPaused()) say("Paused");
  else if (document.visibilityState === "visible") timer = setTimeout(read, Math.max(0, delay));
}

byId("controls").hidden = false;
filter.addEventListener("input", applyFilter);
pause.addEventListener("click", () => {
  pause.setAttribute("aria-pressed", String(!isPaused()));
  schedule(0);
});
document.addEventListener("visibilitychange", () => schedule(0));
schedule(0);
