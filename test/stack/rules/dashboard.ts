import { readFileSync } from "node:fs";

/** The parts of a Grafana panel that the tests use. */
export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly options?: { readonly yAxis?: { readonly unit: string } };
  readonly targets?: readonly {
    readonly expr: string;
    readonly legendFormat: string;
    readonly datasource: { readonly uid: string };
  }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly {
      readonly type: string;
      readonly name: string;
      readonly query: string | { readonly query: string };
    }[];
  };
}

const file = new URL("../../../stack/dashboards/grpc.json", import.meta.url);
const dashboard: Dashboard = JSON.parse(readFileSync(file, "utf8"));

/** All panels except row titles. */
export const panels: readonly Panel[] = dashboard.panels.filter(({ type }) => type !== "row");

/** The queries of all panels with their rows. */
export const queries: readonly { row: string; panel: string; query: string }[] = queriesOfRows();

/** Matches queries, and names of recorded series, that have results only of clients with xDS. */
export const NEEDS_XDS = /grpc_(lb|xds)_/;

/** The dashboard's variables, with the selector and label whose values they offer. */
export const variables: readonly { name: string; selector: string; label: string }[] = dashboard
  .templating.list.filter(({ type }) => type === "query").map(({ name, query }) => {
    const text = typeof query === "string" ? query : query.query;
    const [, selector = "", label = ""] = /^label_values\((.*), (\w+)\)$/.exec(text) ?? [];
    return { name, selector, label };
  });

/** The chosen values of each variable. */
export type Choice = Readonly<Record<string, readonly string[]>>;

/**
 * Replaces variables in a query, like Grafana for Prometheus: several values become alternatives of
 * a regular expression in a string.
 */
export function interpolate(query: string, choice: Choice): string {
  return Object.entries(choice).reduce(
    (text, [name, values]) =>
      text.replaceAll(`$${name}`, () => values.map(escapeForRegExpInString).join("|")),
    query.replaceAll("$__rate_interval", "1m"),
  );
}

function escapeForRegExpInString(value: string): string {
  return value.replaceAll(/[\\^$*+?.()|[\]{}]/g, "\\\\$&");
}

function queriesOfRows(): { row: string; panel: string; query: string }[] {
  let row = "";
  return dashboard.panels.flatMap(({ type, title, targets = [] }) => {
    if (type === "row") row = title;
    return targets.map(({ expr }) => ({ row, panel: title, query: expr }));
  });
}
