export { exitOnStartupError, handleArguments } from "../../echo/command-line.ts";
export { exposureWarning } from "./exposure.ts";
export { grpcLog } from "../../echo/grpc-log.ts";
export { ignoreOutputErrors, withoutOutputErrors } from "../../log/output.ts";
export { readSettings, StartupError } from "./read.ts";
export { helpText, markdownTable } from "./help.ts";
export { withoutSecrets } from "./secrets.ts";
export type { EchoAddress } from "./address.ts";
export type { MetricsExporter, Settings } from "./variables.ts";
