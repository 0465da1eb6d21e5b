/** The other services of the server: health checks for probes, reflection for grpcurl. */
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { service as healthService } from "grpc-health-check";
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { RUNTIMES, startServer } from "../support/script.ts";

const ECHO = "grpc.examples.echo.Echo";
const reflectionProto = createRequire(import.meta.url).resolve(
  "@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto",
);
const reflectionService = loadSync(reflectionProto)["grpc.reflection.v1.ServerReflection"];

interface HealthClient extends grpc.Client {
  Check(request: { service: string }, reply: grpc.requestCallback<{ status: string }>): void;
}

interface ReflectionClient extends grpc.Client {
  ServerReflectionInfo(): grpc.ClientDuplexStream<
    { listServices: string } | { fileContainingSymbol: string },
    {
      listServicesResponse?: { service: { name: string }[] };
      fileDescriptorResponse?: { fileDescriptorProto: Uint8Array[] };
    }
  >;
}

for (const runtime of RUNTIMES) {
  test(`${runtime}: health of the server and of its service`, async (t) => {
    const { address } = await startServer(t, runtime);
    const client = connect<HealthClient>(healthService as grpc.ServiceDefinition, address);
    try {
      const check = (service: string) =>
        new Promise((resolve) =>
          client.Check(
            { service },
            (error, reply) => resolve(error ? grpc.status[error.code] : reply?.status),
          )
        );
      assert.equal(await check(""), "SERVING");
      assert.equal(await check(ECHO), "SERVING");
      assert.equal(await check("grpc.examples.echo.Other"), "NOT_FOUND");
    } finally {
      client.close();
    }
  });

  test(`${runtime}: reflection lists the service and describes it`, async (t) => {
    const { address } = await startServer(t, runtime);
    const client = connect<ReflectionClient>(
      reflectionService as grpc.ServiceDefinition,
      address,
    );
    try {
      const stream = client.ServerReflectionInfo();
      stream.write({ listServices: "" });
      stream.write({ fileContainingSymbol: ECHO });
      stream.end();
      const [services, file] = await stream.toArray();
      const names = services.listServicesResponse.service.map(({ name }: { name: string }) => name);
      assert.ok(names.includes(ECHO), names.join());
      const [descriptor] = file.fileDescriptorResponse.fileDescriptorProto;
      assert.match(Buffer.from(descriptor).toString("latin1"), /BidirectionalStreamingEcho/);
    } finally {
      client.close();
    }
  });
}

function connect<Client extends grpc.Client>(
  service: grpc.ServiceDefinition,
  address: string,
): Client {
  const Constructor = grpc.makeClientConstructor(service, "");
  return new Constructor(address, grpc.credentials.createInsecure()) as unknown as Client;
}
