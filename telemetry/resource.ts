import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import type { Resource } from "@opentelemetry/resources";
import { randomUUID } from "node:crypto";
import { runtimeResourceAttributes } from "./runtime/mod.ts";
import type { Settings } from "./settings/mod.ts";

/**
 * Creates the resource that describes this process.
 *
 * Every process gets an instance id of its own: without one, two processes behind one Collector
 * overwrite each other's series.
 *
 * @param defaultServiceName `service.name` unless the environment gives one
 */
export function createResource(settings: Settings, defaultServiceName: string): Resource {
  const { OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES } = settings;
  return defaultResource().merge(resourceFromAttributes({
    "service.name": defaultServiceName,
    "service.instance.id": randomUUID(),
    ...runtimeResourceAttributes(),
    ...OTEL_RESOURCE_ATTRIBUTES,
    ...(OTEL_SERVICE_NAME !== undefined && { "service.name": OTEL_SERVICE_NAME }),
  }));
}
