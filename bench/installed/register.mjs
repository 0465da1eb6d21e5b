import "grpc-js-opentelemetry/register";
