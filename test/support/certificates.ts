import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Owner } from "./script.ts";

const run = promisify(execFile);

/** A certificate and its private key: the paths of two files in PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** What a certificate says; it is good for this host and valid from now until tomorrow unless told. */
export interface CertificateOptions {
  /** Subject alternative names as OpenSSL writes them, `DNS:localhost`. */
  readonly hosts?: readonly string[];
  /** Whether it expired on the second day of 2020. */
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

/** A certificate authority in a folder of its own; whoever trusts it trusts what it issues. */
export class CertificateAuthority {
  /** Its own certificate: the path of a file in PEM. */
  readonly certificate: string;
  readonly #folder: string;
  readonly #config: string;
  #issued = Promise.resolve();

  private constructor(folder: string) {
    this.#folder = folder;
    this.certificate = join(folder, "ca.pem");
    this.#config = join(folder, "ca.cnf");
  }

  /**
   * Makes one with the command `openssl`, which is on every system that the tests run on. Its files
   * are removed when the owner is done.
   */
  static async create(owner: Owner, name: string): Promise<CertificateAuthority> {
    const folder = await mkdtemp(join(tmpdir(), "certificates-"));
    owner.after(() => rm(folder, { recursive: true }));
    const authority = new CertificateAuthority(folder);
    const key = join(folder, "ca.key");
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
   * Issues a certificate, for a server or a client.
   *
   * @param name Its subject, and what its files are called.
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
    // Two at a time would spoil the list of what was issued.
    this.#issued = this.#issued.then(() =>
      this.#sign(request, pair.certificate, expired ? LONG_AGO : period)
    );
    await this.#issued;
    return pair;
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

/** `YYYYMMDDHHMMSSZ`, which `openssl ca` takes. */
function opensslTime(time: Date): string {
  return time.toISOString().replace(/\.\d+|[-:T]/g, "");
}
