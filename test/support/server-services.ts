/** Clients of the server's other services: health checks for probes, reflection for grpcurl. */
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { service as healthService } from "grpc-health-check";
import { createRequire } from "node:module";

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

/** Returns the health of each service, or the name of the status that the check fails with. */
export async function healthOf(address: string, services: readonly string[]): Promise<string[]> {
  const client = connect<HealthClient>(healthService as grpc.ServiceDefinition, address);
  const check = (service: string) =>
    new Promise<string>((resolve) =>
      client.Check(
        { service },
        (error, reply) => resolve(error ? grpc.status[error.code] : reply?.status ?? ""),
      )
    );
  try {
    return await Promise.all(services.map(check));
  } finally {
    client.close();
  }
}

/** What a server tells by reflection. */
export interface Reflected {
  /** The names of its services. */
  readonly services: readonly string[];
  /** The file that describes the given service. */
  readonly file: Uint8Array;
}

/** Asks a server for its services, and for the file that describes one of them. */
export async function reflectionOf(address: string, service: string): Promise<Reflected> {
  const client = connect<ReflectionClient>(reflectionService as grpc.ServiceDefinition, address);
  try {
    const stream = client.ServerReflectionInfo();
    stream.write({ listServices: "" });
    stream.write({ fileContainingSymbol: service });
    stream.end();
    const [services, file] = await stream.toArray();
    return {
      services: services.listServicesResponse.service.map(({ name }: { name: string }) => name),
      file: file.fileDescriptorResponse.fileDescriptorProto[0],
    };
  } finally {
    client.close();
  }
}

function connect<Client extends grpc.Client>(
  service: grpc.ServiceDefinition,
  address: string,
): Client {
  const Constructor = grpc.makeClientConstructor(service, "");
  return new Constructor(address, grpc.credentials.createInsecure()) as unknown as Client;
}
