/** TLS handshakes with xDS (gRFC A118). */
import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { GrpcOpenTelemetry } from "../../../plugin/mod.ts";
import { echoClient, echoHandlers, echoService, listen, unary } from "../../support/echo.ts";
import { certificates, serverCredentials } from "../../support/handshakes.ts";
import { metric } from "../../support/load-balancing.ts";
import { Recording } from "../../support/series.ts";
import { ownXdsClient, startControlPlane } from "../fixture.ts";
import { cluster, endpoints, listener, routes } from "../resources.ts";

test("a handshake has the cluster and the locality of its connection", async (t) => {
  const { root, good } = await certificates(t);
  const server = new grpc.Server();
  t.after(() => server.forceShutdown());
  server.addService(echoService, echoHandlers);
  const port = await listen(server, serverCredentials(root, good));
  const plane = await startControlPlane(t, [
    listener("echo"),
    routes("echo", { red: 100 }),
    cluster("red"),
    endpoints("red", [{ name: "eu/a/1", ports: [port] }]),
  ]);
  const recording = new Recording();
  const otel = new GrpcOpenTelemetry({
    meterProvider: recording.meterProvider,
    enableMetrics: ["grpc.client.tls.handshakes"],
    optionalLabels: ["grpc.lb.locality", "grpc.lb.backend_service"],
  });
  const client = echoClient(
    "xds:///echo",
    otel.clientOptions({
      ...ownXdsClient(plane),
      "grpc.use_local_subchannel_pool": 1,
      "grpc.ssl_target_name_override": "localhost",
    }),
    grpc.credentials.createSsl(root),
  );
  t.after(() => client.close());
  assert.equal(await unary(client, "hello"), "hello");
  assert.deepEqual(await metric(recording, "grpc.client.tls.handshakes"), {
    'backend_service=red,locality={region="eu", zone="a", sub_zone="1"},tls.handshake.result=SUCCESS':
      1,
  });
});
