import type { ClientOptions } from "@grpc/grpc-js";

/** Returns options of a client that makes each call up to `maxAttempts` times, 10 ms apart. */
export function retrying(maxAttempts: number): ClientOptions {
  return {
    "grpc.service_config": JSON.stringify({
      loadBalancingConfig: [],
      methodConfig: [{
        name: [{}],
        retryPolicy: {
          maxAttempts,
          initialBackoff: "0.01s",
          maxBackoff: "0.01s",
          backoffMultiplier: 1,
          retryableStatusCodes: ["UNAVAILABLE"],
        },
      }],
    }),
  };
}
