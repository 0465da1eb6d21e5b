// What Deno preloads, because it resolves no package's name there.
import "grpc-js-opentelemetry/register";
