/** The style of the page. Wide windows show tables, narrow ones show a card for each row. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --back: #fff; --text: #1f2328; --muted: #59636e; --line: #d1d9e0; --link: #0757b8; --curve: #2f7fd6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #0d1117; --text: #e6edf3; --muted: #9ba5b0; --line: #30373f; --link: #6cb0ff;
    --curve: #4c9bf5;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 84rem; padding: 1.5rem; background: var(--back); color: var(--text);
  font: 0.9375rem/1.45 system-ui, sans-serif;
}
[hidden] { display: none !important; }
h1 { margin: 0 0 0.5rem; font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 0; font-size: 1.125rem; }
a { color: var(--link); }
dl { display: flex; flex-wrap: wrap; gap: 0.25rem 2rem; margin: 0; }
dt, caption, small, .note, #status, td::before { color: var(--muted); font-size: 0.8125rem; }
dd { margin: 0; overflow-wrap: anywhere; }
#controls { display: flex; flex-wrap: wrap; gap: 0.75rem; align-items: center; margin-top: 1.25rem; }
input, button {
  padding: 0.25rem 0.625rem; border: 1px solid var(--muted); border-radius: 0.375rem;
  background: transparent; color: inherit; font: inherit;
}
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
#status { margin: 0.5rem 0 0; min-height: 1.2rem; }
table {
  width: 100%; border-collapse: collapse; table-layout: fixed; font-variant-numeric: tabular-nums;
}
caption { padding: 0 0 0.25rem; text-align: left; }
th, td {
  padding: 0.5rem 0 0.5rem 1rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; overflow-wrap: anywhere;
}
th:first-child { width: 23%; padding-left: 0; text-align: left; }
.server th:nth-child(3), .client th:nth-child(3) { width: 18%; }
thead th { color: var(--muted); font-size: 0.8125rem; font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 600; }
small { display: block; font-weight: 400; }
svg {
  display: block; width: 100%; height: 1.5rem; margin: 0.25rem 0; overflow: visible;
  border-bottom: 1px solid var(--line);
}
path { fill: none; stroke: var(--curve); stroke-width: 1.5; stroke-linecap: round;
  stroke-linejoin: round; vector-effect: non-scaling-stroke; }
.note { max-width: 48rem; margin: 1rem 0 0; }
ul { margin: 0.5rem 0; padding-left: 1.25rem; }
@media (max-width: 56rem) {
  body { padding: 1rem; }
  table, tbody, caption { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tbody tr {
    display: grid; grid-template-columns: repeat(auto-fill, minmax(6rem, 1fr)); gap: 0.5rem 1rem;
    padding: 0.75rem 0; border-bottom: 1px solid var(--line);
  }
  tbody th:first-child { grid-column: 1 / -1; width: auto; }
  tbody th, td { padding: 0; border: 0; text-align: left; }
  td::before { content: attr(data-heading); display: block; }
}
`;
