import { parseBearerToken, parseUser } from "../../prometheus/authentication.ts";
import { booleanSchema, documented, hostNamesSchema } from "./schemas.ts";
import { certificateFileSchema, fileSchema, isNoPath, keyFileSchema } from "./tls-files.ts";

const CERTIFICATE = "a file that can be read, with a certificate in PEM";
const KEY = "a file that can be read, with the private key of the certificate in PEM, without a " +
  "passphrase";

/** Who may read `/metrics`. Secrets come from files: an environment is seen by too many. */
export const metricsSecurityVariables = {
  GRPC_METRICS_TLS_CERT: documented(certificateFileSchema.optional(), {
    description: "Certificate of /metrics, in PEM; with it /metrics is served over TLS alone",
    allowed: `${CERTIFICATE}, together with its key`,
    initially: "",
    isSecret: isNoPath,
  }),
  GRPC_METRICS_TLS_KEY: documented(keyFileSchema.optional(), {
    description: "Key of that certificate, in PEM",
    allowed: KEY,
    initially: "",
    isSecret: isNoPath,
  }),
  GRPC_METRICS_TLS_CLIENT_CA: documented(certificateFileSchema.optional(), {
    description: "Authorities of the certificates that whoever reads /metrics then has to show",
    allowed: `${CERTIFICATE}, together with GRPC_METRICS_TLS_CERT`,
    initially: "",
    isSecret: isNoPath,
  }),
  GRPC_METRICS_BEARER_TOKEN_FILE: documented(fileSchema(parseBearerToken).optional(), {
    description: "File with the token that /metrics asks for",
    allowed: "a file that can be read, with one token without blanks",
    initially: "",
    isSecret: isNoPath,
  }),
  GRPC_METRICS_BASIC_AUTH_FILE: documented(fileSchema(parseUser).optional(), {
    description: "File with the name and password that /metrics asks for, or the above",
    allowed: "a file that can be read, with one line of name:password",
    initially: "",
    isSecret: isNoPath,
  }),
  GRPC_METRICS_ALLOWED_HOSTS: documented(hostNamesSchema.optional(), {
    description: "Host names with a dot that /metrics answers to; * is any",
    allowed: "host names without ports, separated by commas, or *",
    initially: "none on loopback, any on other addresses",
  }),
};

/** TLS between the scripts. */
export const grpcTlsVariables = {
  GRPC_TLS_CERT: documented(certificateFileSchema.optional(), {
    description: "Server: its certificate, in PEM, which switches TLS on. Client: what it shows",
    allowed: `${CERTIFICATE}, together with its key`,
    initially: "",
    isSecret: isNoPath,
  }),
  GRPC_TLS_KEY: documented(keyFileSchema.optional(), {
    description: "Key of that certificate, in PEM",
    allowed: KEY,
    initially: "",
    isSecret: isNoPath,
  }),
  GRPC_TLS_CA: documented(certificateFileSchema.optional(), {
    description:
      "Authorities in PEM. Client: of the server's certificate, which switches TLS on. " +
      "Server: of its clients' certificates",
    allowed: CERTIFICATE,
    initially: "",
    isSecret: isNoPath,
  }),
  GRPC_TLS_CLIENT_AUTH: documented(booleanSchema.prefault("false"), {
    description: "Server: whether clients have to show a certificate",
    allowed: "true or false; true together with GRPC_TLS_CERT, GRPC_TLS_KEY and GRPC_TLS_CA",
    initially: "false",
  }),
};
