// HTTP by hand: what no well-behaved client would send, and bytes as they come.

import { connect } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";

/** An answer as it came over the connection. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** What stands after the headers, chunked or not, as Latin-1. */
  readonly rest: string;
}

/**
 * Sends bytes on a connection of its own and waits until the server has closed it.
 *
 * @param tls what the client shows and believes; it speaks TLS if this is there
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
    // After an empty write over TLS, Deno does not see the connection's end.
    const send = () => request !== "" && socket.write(request);
    const socket = tls === undefined
      ? connect(address, send)
      : connectTls({ ...address, servername: "localhost", ...tls }, send);
    socket.setEncoding("latin1");
    socket.on("data", (text) => answer += text);
    // A server that refuses may reset the connection while the request is still being written.
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    socket.on("close", () => resolve(parse(answer)));
  });
}

/** Sends a request line and headers, asking for the connection to be closed afterwards. */
export function request(url: string, line: string, ...headers: string[]): Promise<RawAnswer> {
  return sendRaw(url, requestText(line, ...headers));
}

/** A request that asks for the connection to be closed afterwards. */
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
