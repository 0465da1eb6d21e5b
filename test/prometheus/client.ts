// A raw HTTP client: it can send what no well-behaved client would, and returns the bytes received.

import { connect } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";

/** A response as it was received. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** Everything after the headers, chunked or not, as Latin-1. */
  readonly rest: string;
}

/**
 * Sends bytes on a new connection and waits until the server has closed it.
 *
 * @param tls the client's certificates; without them, it does not use TLS
 */
export function sendRaw(
  url: string,
  request: string,
  tls?: ConnectionOptions,
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const address = { host: hostname.replace(/[[\]]/g, ""), port: Number(port) };
  return new Promise((resolve) => {
    let answer = "";
    // Works around Deno, which misses the end of a TLS connection after an empty write.
    const send = () => request !== "" && socket.write(request);
    const socket = tls === undefined
      ? connect(address, send)
      : connectTls({ ...address, servername: "localhost", ...tls }, send);
    socket.setEncoding("latin1");
    socket.on("data", (text) => answer += text);
    // A server that refuses a request may reset the connection while the request is being written.
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    socket.on("close", () => resolve(parse(answer)));
  });
}

/** Sends a request that asks the server to close the connection afterwards. */
export function request(url: string, line: string, ...headers: string[]): Promise<RawAnswer> {
  return sendRaw(url, requestText(line, ...headers));
}

/** Returns the text of a request that asks the server to close the connection afterwards. */
export function requestText(line: string, ...headers: string[]): string {
  const all = [`${line} HTTP/1.1`, "Host: localhost", "Connection: close", ...headers];
  return `${all.join("\r\n")}\r\n\r\n`;
}

function parse(answer: string): RawAnswer {
  const end = answer.indexOf("\r\n\r\n");
  const [start = "", ...fields] = answer.slice(0, end).split("\r\n");
  const headers = new Map(fields.map((field) => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
  }));
  return { status: Number(start.split(" ")[1] ?? 0), headers, rest: answer.slice(end + 4) };
}
