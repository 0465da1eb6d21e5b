import { createHash } from "node:crypto";
import { facts, NOTES, SINCE_START, splitName, TABLE_TEXTS, titleOf } from "./columns.ts";
import { figuresOf } from "./figures.ts";
import { FAMILIES, type Snapshot, type Table, TABLES } from "./reader.ts";
import { SCRIPT } from "./script.ts";
import { STYLE } from "./style.ts";

/** The headers of the document. Only its own script and style may run, and it reads only its origin. */
export const HEADERS = {
  "content-security-policy": [
    "default-src 'none'",
    `script-src ${hash(SCRIPT)}`,
    `style-src ${hash(STYLE)}`,
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; "),
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
};

function hash(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/** Returns the document with a table of totals, which its script replaces by rates and curves. */
export function documentOf(snapshot: Snapshot): string {
  const title = escape(titleOf(snapshot));
  const tables = TABLES.filter((table) => snapshot.tables[table].size > 0)
    .map((table) => section(table, snapshot)).join("");
  const query = FAMILIES.map((name) => `name[]=${name}`).join("&amp;");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}: gRPC metrics</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<header>
<h1 id="title">${title}</h1>
<dl id="facts">${facts(snapshot).map(([name, text]) => fact(name, text)).join("")}</dl>
</header>
<main>
<div id="controls" hidden>
<label>Filter <input id="filter" type="search" autocomplete="off" spellcheck="false"></label>
<output id="matches" for="filter"></output>
<button id="pause" type="button" aria-pressed="false">Pause</button>
</div>
<p id="status" role="status"></p>
<noscript><p>The numbers are those of the moment when this page was loaded.</p></noscript>
<div id="tables">${tables || `<p>No gRPC calls have been recorded yet.</p>`}</div>
${NOTES.map((note) => `<p class="note">${note}</p>`).join("\n")}
</main>
<footer>
<h2>More</h2>
<ul>
<li><a href="/metrics">/metrics</a>: all metrics, for Prometheus</li>
<li><a id="source" href="/metrics?${query}">/metrics?name[]=…</a>: only the metrics that are named, as
here those of this page; repeat the parameter for each name</li>
<li><a href="/-/healthy">/-/healthy</a>: whether this process answers requests</li>
</ul>
</footer>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

function fact(name: string, text: string): string {
  return `<div><dt>${name}</dt><dd>${escape(text)}</dd></div>`;
}

function section(table: Table, snapshot: Snapshot): string {
  const { heading, caption, rows, columns } = TABLE_TEXTS[table];
  const headings = columns.map(({ heading }) => heading);
  const body = [...snapshot.tables[table]].sort(([, a], [, b]) => b.calls - a.calls)
    .map(([name, counts]) => {
      const figures = figuresOf(counts);
      const cells = columns.map((column) => {
        const [number = "", ...more] = column.lines(figures, figures).map(escape);
        return `<td role="cell" data-heading="${column.heading}">${number}` +
          more.map((line) => `<small>${line}</small>`).join("") + "</td>";
      });
      const [service, method] = splitName(name).map(escape);
      return `<tr role="row"><th role="rowheader" scope="row"><small>${service}</small>${method}` +
        `</th>${cells.join("")}</tr>`;
    });
  return `<section aria-labelledby="${table}"><h2 id="${table}">${heading}</h2>
<table class="${table}" role="table"><caption>${caption}, ${SINCE_START}</caption>
<thead role="rowgroup"><tr role="row">${
    [rows, ...headings].map((text) => `<th role="columnheader" scope="col">${text}</th>`).join("")
  }</tr></thead>
<tbody role="rowgroup">${body.join("\n")}</tbody></table></section>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Escapes text for HTML: names of methods and services may come from strangers. */
function escape(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ENTITIES[char]!);
}
