/**
 * Takes grpc-js's log to standard error. Where a proxy's URL lacks its scheme, grpc-js takes the user's
 * name for one and quotes it.
 */
export const grpcLog: Pick<Console, "error" | "info" | "debug"> = {
  error: log,
  info: log,
  debug: log,
};

function log(line: string): void {
  console.error(
    line.endsWith(" scheme not supported in proxy URI")
      ? "grpc_proxy, https_proxy or http_proxy: must be a URL that begins with http://"
      : line,
  );
}
