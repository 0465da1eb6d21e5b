import * as z from "zod/mini";
import { documented } from "../telemetry/settings/documentation.ts";
import { unixSocketSchema } from "../telemetry/settings/endpoints.ts";
import {
  areKeyPair,
  CERTIFICATE_FILE,
  certificateFileSchema,
  isNoPath,
  KEY_FILE,
  keyFileSchema,
} from "../telemetry/settings/files.ts";
import { readVariables } from "../telemetry/settings/read.ts";
import {
  booleanSchema,
  HOST_CHARACTER,
  integerSchema,
  IPV6,
  numberSchema,
} from "../telemetry/settings/schemas.ts";
import { variables as telemetryVariables } from "../telemetry/settings/variables.ts";

/** A gRPC address in the three forms that the scripts need. */
export interface EchoAddress {
  /** As it was given, `:50051`. */
  readonly given: string;
  /** What a server binds: `[::]:50051` for `:50051`, which is IPv6 and IPv4. */
  readonly bind: string;
  /** What a client dials: `localhost:50051` for `:50051`. */
  readonly dial: string;
}

const unixAddressSchema = z.pipe(
  unixSocketSchema,
  z.transform((given: string): EchoAddress => ({ given, bind: given, dial: given })),
);

/**
 * `host:port` or `:port`. Go's `:port` is spelled out here, because grpc-js neither binds nor dials
 * it: binding fails with "No addresses resolved", and a dial hangs until its deadline.
 */
const hostAddressSchema = z.pipe(
  z.string().check(
    z.regex(new RegExp(`^(\\[${IPV6}\\]|${HOST_CHARACTER}*):\\d{1,5}$`, "i")),
    z.refine((given) => Number(given.slice(given.lastIndexOf(":") + 1)) <= 65535),
  ),
  z.transform((given: string): EchoAddress => {
    if (!given.startsWith(":")) return { given, bind: given, dial: given };
    return { given, bind: `[::]${given}`, dial: `localhost${given}` };
  }),
);

/** The methods of `echo.proto`, one of each kind. */
const ECHO_METHODS = [
  "UnaryEcho",
  "ServerStreamingEcho",
  "ClientStreamingEcho",
  "BidirectionalStreamingEcho",
] as const;

/**
 * Every environment variable that the scripts read: those of telemetry, `GRPC_TLS_*` and `ECHO_*`.
 * The scripts check them all before they start anything.
 */
export const variables = z.safeExtend(telemetryVariables, {
  GRPC_TLS_CERT: documented(z.optional(certificateFileSchema), {
    description:
      "Certificate in PEM. Server: switches TLS on. Client: sent if the server asks for one",
    allowed: `${CERTIFICATE_FILE}, together with its key`,
    default: "",
    isSecret: isNoPath,
  }),
  GRPC_TLS_KEY: documented(z.optional(keyFileSchema), {
    description: "Key of that certificate, in PEM",
    allowed: KEY_FILE,
    default: "",
    isSecret: isNoPath,
  }),
  GRPC_TLS_CA: documented(z.optional(certificateFileSchema), {
    description: "CA certificates in PEM. Client: verify the server, and switch TLS on. " +
      "Server: verify clients",
    allowed: CERTIFICATE_FILE,
    default: "",
    isSecret: isNoPath,
  }),
  GRPC_TLS_CLIENT_AUTH: documented(z.prefault(booleanSchema, "false"), {
    description: "Server: whether clients must send a certificate",
    allowed: "true or false; true together with GRPC_TLS_CERT, GRPC_TLS_KEY and GRPC_TLS_CA",
    default: "false",
  }),
  ECHO_ADDR: documented(z.prefault(z.union([unixAddressSchema, hostAddressSchema]), ":50051"), {
    description:
      "Address that the server listens on and the client connects to; :port means every address " +
      "of the server, and localhost for the client",
    allowed: "host:port or :port, with a port from 0 to 65535; or unix:path or unix:///path",
    default: ":50051",
  }),
  ECHO_DELAY_MS: documented(z.prefault(integerSchema(0, 3_600_000), "2000"), {
    description: "Server: milliseconds before a call is answered",
    allowed: "a whole number of milliseconds from 0 to 3600000",
    default: "2000",
  }),
  ECHO_METHOD: documented(z.prefault(z.enum(ECHO_METHODS), "UnaryEcho"), {
    description: "Client: the method to call",
    allowed: ECHO_METHODS.join(", "),
    default: "UnaryEcho",
  }),
  ECHO_CONCURRENCY: documented(z.optional(integerSchema(1, 100_000)), {
    description: "Client: calls in progress at a time",
    allowed: "a whole number from 1 to 100000",
    default: "1",
  }),
  ECHO_QPS: documented(z.optional(numberSchema(0, 1_000_000)), {
    description: "Client: calls started per second; 0 is no limit",
    allowed: "a number from 0 to 1000000",
    default: "0",
  }),
  ECHO_COUNT: documented(z.prefault(integerSchema(0, Number.MAX_SAFE_INTEGER), "0"), {
    description: "Client: calls to make; 0 is no limit",
    allowed: "a whole number from 0",
    default: "0",
  }),
  ECHO_DURATION_S: documented(z.prefault(numberSchema(0, 31_536_000), "0"), {
    description: "Client: seconds to run for; 0 is until stopped",
    allowed: "a number of seconds from 0 to 31536000",
    default: "0",
  }),
  ECHO_INTERVAL_MS: documented(z.optional(integerSchema(0, 3_600_000)), {
    description: "Client: pause in milliseconds after each reply",
    allowed: "a whole number of milliseconds from 0 to 3600000",
    default: "1000; 0 if ECHO_CONCURRENCY or ECHO_QPS is set",
  }),
  ECHO_DEADLINE_MS: documented(z.prefault(integerSchema(0, 3_600_000), "0"), {
    description: "Client: deadline of each call in milliseconds; 0 is none",
    allowed: "a whole number of milliseconds from 0 to 3600000",
    default: "0",
  }),
  ECHO_MESSAGE_BYTES: documented(z.prefault(integerSchema(0, 64 * 1024 * 1024), "0"), {
    description: "Client: length of the message in bytes; 0 is the codelab's text",
    allowed: "a whole number of bytes from 0 to 67108864",
    default: "0",
  }),
}).check(
  z.refine((values) => areKeyPair(values.GRPC_TLS_KEY, values.GRPC_TLS_CERT), {
    path: ["GRPC_TLS_KEY"],
    when: () => true,
  }),
  z.refine(
    (values) =>
      values.GRPC_TLS_CLIENT_AUTH !== true || (values.GRPC_TLS_CERT && values.GRPC_TLS_CA),
    { path: ["GRPC_TLS_CLIENT_AUTH"], when: () => true },
  ),
);

/** The parsed environment; each name is documented in {@link variables}. */
export type Settings = z.output<typeof variables>;

/**
 * Reads the variables of the scripts.
 *
 * @throws {StartupError} with one line for every bad variable
 */
export function readSettings(environment?: Readonly<Record<string, string | undefined>>): Settings {
  return readVariables(variables, environment);
}
