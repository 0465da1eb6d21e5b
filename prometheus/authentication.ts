/**
 * Who may read metrics: bearer token and HTTP basic authentication, with secrets from files.
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

/** Files with secrets. What is in them is read again when they change. */
export interface AuthenticationFiles {
  /** The path of a file with the token of `Authorization: Bearer`. */
  readonly bearerToken?: string | undefined;
  /** The path of a file with the `name:password` of `Authorization: Basic`. */
  readonly user?: string | undefined;
}

/** Tells whether the sender of a request is known. */
export class Authentication {
  readonly #token: WatchedFiles<Buffer> | undefined;
  readonly #user: WatchedFiles<Buffer> | undefined;
  readonly #stops: (() => void)[];

  /** @throws {Error} if a file can't be read or has no secret in it */
  constructor({ bearerToken, user }: AuthenticationFiles) {
    this.#token = bearerToken === undefined ? undefined : watch(bearerToken, parseBearerToken);
    this.#user = user === undefined ? undefined : watch(user, parseUser);
    // The value is asked for at each request: nobody has to be told of a new one.
    this.#stops = [this.#token, this.#user].map((file) => file?.onChange(() => {}) ?? (() => {}));
  }

  /** What the `WWW-Authenticate` headers of a refusal say. */
  get challenges(): string[] {
    const challenges: string[] = [];
    if (this.#token) challenges.push('Bearer realm="metrics"');
    if (this.#user) challenges.push('Basic realm="metrics", charset="UTF-8"');
    return challenges;
  }

  /** Whether a request with this `Authorization` header has one of the secrets. */
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

  /** Lets go of the files. */
  close(): void {
    for (const stop of this.#stops) stop();
  }
}

/**
 * The token of a file.
 *
 * @throws {UnfitFileError} if the file is not in UTF-8
 * @throws {Error} if there is none, or more than one word
 */
export function parseBearerToken(content: Buffer): Buffer {
  const token = decode(content).trim();
  if (!/^[!-~]+$/.test(token)) throw new Error("there is not one token");
  return Buffer.from(token);
}

/**
 * The name and password of a file, `name:password`.
 *
 * @throws {UnfitFileError} if the file is not in UTF-8, or has control characters, as UTF-16 has
 * @throws {Error} if it is not one such line
 */
export function parseUser(content: Buffer): Buffer {
  const user = decode(content).replace(/\r?\n$/, "");
  if (!/^[^:\r\n]+:[^\r\n]+$/.test(user)) throw new Error("there is not one line name:password");
  // RFC 7617, section 2: clients cannot send them.
  if (/\p{Cc}/u.test(user)) {
    throw new UnfitFileError("it has control characters: save it in UTF-8 without them");
  }
  return Buffer.from(user);
}

/** The text of a file without a byte order mark. */
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

/** In a time that does not depend on how much of it is right, nor on the secret's length. */
function isSame(given: Buffer, secret: Buffer | undefined): boolean {
  return secret !== undefined && timingSafeEqual(sha256(given), sha256(secret));
}

function sha256(text: Buffer): Buffer {
  return createHash("sha256").update(text).digest();
}
