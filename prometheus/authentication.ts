/**
 * Authenticates scrapers with a bearer token or HTTP basic authentication. The secrets are in files.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1
 * @see https://www.rfc-editor.org/rfc/rfc7617
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";
import { UnfitFileError } from "../tls/regular-file.ts";
import { WatchedFiles } from "../tls/watched-files.ts";
import { log } from "./log.ts";

/** The files with the secrets of scrapers. They are read again when they change. */
export interface AuthenticationFiles {
  /**
   * The path of a file with one token for `Authorization: Bearer`.
   *
   * @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1
   */
  readonly bearerToken?: string | undefined;
  /**
   * The path of a file with one line `name:password` in UTF-8 for `Authorization: Basic`.
   *
   * @see https://www.rfc-editor.org/rfc/rfc7617
   */
  readonly user?: string | undefined;
}

/** Checks the credentials of requests against the secrets. */
export class Authentication {
  readonly #token: WatchedFiles<Buffer> | undefined;
  readonly #user: WatchedFiles<Buffer> | undefined;
  readonly #stops: (() => void)[];

  /**
   * Reads the secrets and watches their files.
   *
   * @throws {Error} if a file cannot be read or holds no valid secret
   */
  constructor({ bearerToken, user }: AuthenticationFiles) {
    this.#token = bearerToken === undefined ? undefined : watch(bearerToken, parseBearerToken);
    this.#user = user === undefined ? undefined : watch(user, parseUser);
    // Files are watched only while they have a listener. Each request reads the current value.
    this.#stops = [this.#token, this.#user].map((file) => file?.onChange(() => {}) ?? (() => {}));
  }

  /** The values of the `WWW-Authenticate` headers of a 401 response. */
  get challenges(): string[] {
    const challenges: string[] = [];
    if (this.#token) challenges.push('Bearer realm="metrics"');
    if (this.#user) challenges.push('Basic realm="metrics", charset="UTF-8"');
    return challenges;
  }

  /** Returns whether an `Authorization` header has one of the secrets. */
  allows(authorization: string | undefined): boolean {
    const [, scheme = "", credentials = ""] = /^(\S+) +(\S+) *$/.exec(authorization ?? "") ?? [];
    switch (scheme.toLowerCase()) {
      case "bearer":
        return isSame(Buffer.from(credentials), this.#token?.value);
      case "basic":
        return isSame(Buffer.from(credentials, "base64"), this.#user?.value);
      default:
        return false;
    }
  }

  /** Stops watching the files. */
  close(): void {
    for (const stop of this.#stops) stop();
  }
}

/**
 * Returns the bearer token in a file's content.
 *
 * @throws {UnfitFileError} if the content is not UTF-8
 * @throws {Error} if the content is not one word of visible ASCII characters
 */
export function parseBearerToken(content: Buffer): Buffer {
  const token = decode(content).trim();
  if (!/^[!-~]+$/.test(token)) throw new Error("it must hold one token");
  return Buffer.from(token);
}

/**
 * Returns the `name:password` in a file's content.
 *
 * @throws {UnfitFileError} if the content is not UTF-8, or has control characters, as UTF-16 text has
 * @throws {Error} if the content is not one such line
 */
export function parseUser(content: Buffer): Buffer {
  const user = decode(content).replace(/\r?\n$/, "");
  if (!/^[^:\r\n]+:[^\r\n]+$/.test(user)) throw new Error("it must hold one line, name:password");
  // Clients cannot send control characters (RFC 7617, section 2).
  if (/\p{Cc}/u.test(user)) {
    throw new UnfitFileError("it has control characters: save it in UTF-8 without them");
  }
  return Buffer.from(user);
}

/** Decodes UTF-8 and removes a byte order mark. */
function decode(content: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    throw new UnfitFileError("it is not in UTF-8: save it in UTF-8");
  }
}

function watch(path: string, parse: (content: Buffer) => Buffer): WatchedFiles<Buffer> {
  return new WatchedFiles([path], ([content]) => parse(content ?? Buffer.alloc(0)), log);
}

/** Compares in a time that depends neither on the matching characters nor on the secret's length. */
function isSame(given: Buffer, secret: Buffer | undefined): boolean {
  return secret !== undefined && timingSafeEqual(sha256(given), sha256(secret));
}

function sha256(text: Buffer): Buffer {
  return createHash("sha256").update(text).digest();
}
