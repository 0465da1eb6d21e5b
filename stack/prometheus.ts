/**
 * `npm run prometheus`: runs Prometheus with `prometheus.yml` on http://127.0.0.1:9090. Its data is
 * in a temporary folder, which is removed when Prometheus stops.
 *
 * @module
 */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ignoreOutputErrors } from "../log/output.ts";
import { runInForeground } from "./foreground.ts";
import { prometheusCommand } from "./prometheus-command.ts";

const CONFIG = fileURLToPath(new URL("../prometheus.yml", import.meta.url));

ignoreOutputErrors();
try {
  const data = await mkdtemp(join(tmpdir(), "prometheus-"));
  // A second signal exits at once.
  process.on("exit", () => rmSync(data, { recursive: true, force: true, maxRetries: 3 }));
  process.exitCode = await runInForeground(
    await prometheusCommand({ config: CONFIG, data, port: 9090 }),
  );
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
