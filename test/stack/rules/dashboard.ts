import { readFileSync } from "node:fs";

/** What Grafana reads in a panel, as far as it is looked at here. */
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

/** All panels, the titles of rows left out. */
export const panels: readonly Panel[] = dashboard.panels.filter(({ type }) => type !== "row");

/** The queries of all panels, with the row that they are in. */
export const queries: readonly { row: string; panel: string; query: string }[] = queriesOfRows();

/** The variables to choose from, with what asks Prometheus for the choice: the label's values. */
export const variables: readonly { name: string; selector: string; label: string }[] = dashboard
  .templating.list.filter(({ type }) => type === "query").map(({ name, query }) => {
    const text = typeof query === "string" ? query : query.query;
    const [, selector = "", label = ""] = /^label_values\((.*), (\w+)\)$/.exec(text) ?? [];
    return { name, selector, label };
  });

/** What is chosen: any number of values for each variable. */
export type Choice = Readonly<Record<string, readonly string[]>>;

/**
 * Puts values in the place of variables, as Grafana does it for a Prometheus: several values become
 * alternatives of a regular expression in a string.
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
