import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Owner } from "./script.ts";

const run = promisify(execFile);

/** The paths of a certificate and its private key, two PEM files. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** The properties of a certificate. By default it is for this host, and valid from now for a day. */
export interface CertificateOptions {
  /** Subject alternative names in OpenSSL's syntax, such as `DNS:localhost`. */
  readonly hosts?: readonly string[];
  /** Makes a certificate that was valid only on 1 January 2020. */
  readonly expired?: boolean;
  readonly from?: Date;
  readonly until?: Date;
}

const THIS_HOST = ["DNS:localhost", "IP:127.0.0.1"];
const EC_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
const LONG_AGO = {
  from: new Date("2020-01-01T00:00:00Z"),
  until: new Date("2020-01-02T00:00:00Z"),
};

/** A certificate authority that keeps its files in a temporary folder. */
export class CertificateAuthority {
  /** The path of its own certificate, a PEM file. */
  readonly certificate: string;
  /** The path of the key of that certificate. */
  readonly key: string;
  readonly #folder: string;
  readonly #config: string;
  #issued = Promise.resolve();

  private constructor(folder: string) {
    this.#folder = folder;
    this.certificate = join(folder, "ca.pem");
    this.key = join(folder, "ca.key");
    this.#config = join(folder, "ca.cnf");
  }

  /**
   * Creates an authority with the command `openssl`, which every system that the tests run on has.
   * Its files are removed when the owner is done.
   */
  static async create(owner: Owner, name: string): Promise<CertificateAuthority> {
    const folder = await mkdtemp(join(tmpdir(), "certificates-"));
    owner.after(() => rm(folder, { recursive: true }));
    const authority = new CertificateAuthority(folder);
    const { key } = authority;
    await run("openssl", [
      ...["req", "-x509", ...EC_KEY, "-days", "1", "-subj", `/CN=${name}`],
      ...["-keyout", key, "-out", authority.certificate],
    ]);
    await writeFile(join(folder, "index.txt"), "");
    await writeFile(
      authority.#config,
      `[ca]
default_ca = authority
[authority]
database = ${folder}/index.txt
new_certs_dir = ${folder}
certificate = ${authority.certificate}
private_key = ${key}
default_md = sha256
default_days = 1
rand_serial = yes
unique_subject = no
copy_extensions = copy
policy = policy
[policy]
commonName = supplied
`,
    );
    return authority;
  }

  /**
   * Issues a certificate for a server or a client.
   *
   * @param name The common name of its subject, and the name of its files.
   */
  async issue(
    name: string,
    { hosts = THIS_HOST, expired = false, ...period }: CertificateOptions = {},
  ): Promise<KeyPair> {
    const request = join(this.#folder, `${name}.csr`);
    const pair = {
      certificate: join(this.#folder, `${name}.pem`),
      key: join(this.#folder, `${name}.key`),
    };
    await run("openssl", [
      ...["req", ...EC_KEY, "-subj", `/CN=${name}`, "-keyout", pair.key, "-out", request],
      ...["-addext", `subjectAltName=${hosts.join(",")}`],
    ]);
    // One at a time: `openssl ca` does not lock its list of issued certificates.
    this.#issued = this.#issued.then(() =>
      this.#sign(request, pair.certificate, expired ? LONG_AGO : period)
    );
    await this.#issued;
    return pair;
  }

  /** Revokes a certificate. Returns the path of the list of revoked certificates, a PEM file. */
  async revoke({ certificate }: KeyPair): Promise<string> {
    const list = join(this.#folder, "crl.pem");
    const authority = ["ca", "-config", this.#config];
    await run("openssl", [...authority, "-revoke", certificate]);
    await run("openssl", [...authority, "-gencrl", "-crldays", "1", "-out", list]);
    return list;
  }

  async #sign(
    request: string,
    certificate: string,
    { from, until }: Pick<CertificateOptions, "from" | "until">,
  ): Promise<void> {
    const period = [
      ...(from === undefined ? [] : ["-startdate", opensslTime(from)]),
      ...(until === undefined ? [] : ["-enddate", opensslTime(until)]),
    ];
    await run("openssl", [
      ...["ca", "-batch", "-notext", "-config", this.#config, ...period],
      ...["-in", request, "-out", certificate],
    ]);
  }
}

/** Formats a time as `openssl ca` expects it, `YYYYMMDDHHMMSSZ`. */
function opensslTime(time: Date): string {
  return time.toISOString().replace(/\.\d+|[-:T]/g, "");
}
