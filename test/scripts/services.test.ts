/** The other services of the server: health checks for probes, reflection for grpcurl. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RUNTIMES, startServer } from "../support/script.ts";
import { healthOf, reflectionOf } from "../support/server-services.ts";

const ECHO = "grpc.examples.echo.Echo";

for (const runtime of RUNTIMES) {
  test(`${runtime}: health of the server and of its service`, async (t) => {
    const { address } = await startServer(t, runtime);
    const health = await healthOf(address, ["", ECHO, "grpc.examples.echo.Other"]);
    assert.deepEqual(health, ["SERVING", "SERVING", "NOT_FOUND"]);
  });

  test(`${runtime}: reflection lists the service and describes it`, async (t) => {
    const { address } = await startServer(t, runtime);
    const { services, file } = await reflectionOf(address, ECHO);
    assert.ok(services.includes(ECHO), services.join());
    assert.match(Buffer.from(file).toString("latin1"), /BidirectionalStreamingEcho/);
  });
}
