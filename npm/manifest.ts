import { builtName, ENTRIES } from "./entries.ts";

/**
 * What an application has to have itself, so that there is one copy: the plugin hooks the objects of
 * grpc-js, and the API keeps the global providers. `test/versions` runs with each version of grpc-js.
 */
export const PEERS: Readonly<Record<string, string>> = {
  "@grpc/grpc-js": "^1.10.0",
  "@opentelemetry/api": "^1.9.0",
};

/**
 * What all entries contain instead of depending on it. The package needs a tenth of zod, and loading
 * all of it would make every program start later.
 */
export const BUNDLED: readonly string[] = ["zod"];

/** The oldest Node that the OpenTelemetry packages support. The scripts need a newer one. */
const NODE = ">=22.15";

/** The parts of the root's `package.json` that the published one is made of. */
export interface RootManifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

/**
 * Returns the published `package.json`. Dependencies have caret ranges of the root's exact versions,
 * so that an application with a later version of one keeps a single copy.
 *
 * @param imported The names of the packages that the built files import.
 * @throws {Error} If a package is imported that the root does not depend on.
 */
export function publishedManifest(
  { name, version, description, license, dependencies }: RootManifest,
  imported: readonly string[],
): Record<string, unknown> {
  const ranges = imported.filter((name) => !(name in PEERS)).sort().map((name) => {
    const exact = dependencies[name];
    if (exact === undefined) throw new Error(`package.json does not list ${name}`);
    return [name, `^${exact}`];
  });
  return {
    name,
    version,
    description,
    keywords: ["grpc", "grpc-js", "opentelemetry", "metrics", "tracing", "prometheus"],
    license,
    type: "module",
    engines: { node: NODE },
    // For TypeScript's resolution "node10", which does not know `exports`.
    main: "./index.cjs",
    types: "./index.d.cts",
    exports: {
      ...Object.fromEntries(Object.keys(ENTRIES).map((entry) => [entry, conditions(entry)])),
      "./package.json": "./package.json",
    },
    peerDependencies: PEERS,
    dependencies: Object.fromEntries(ranges),
  };
}

function conditions(entry: string) {
  const file = `./${builtName(entry)}`;
  return {
    import: { types: `${file}.d.ts`, default: `${file}.js` },
    require: { types: `${file}.d.cts`, default: `${file}.cjs` },
  };
}
