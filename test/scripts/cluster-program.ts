// Started by start.test.ts: runs two workers of server.ts until one of them ends.
import cluster from "node:cluster";
import { once } from "node:events";
import process from "node:process";

cluster.setupPrimary({ exec: "server.ts", args: [] });
cluster.fork();
cluster.fork();
const [ended, code] = await once(cluster, "exit");
for (const worker of Object.values(cluster.workers ?? {})) {
  if (worker !== undefined && worker !== ended) worker.process.kill("SIGKILL");
}
process.exitCode = code;
