import { get } from "node:http";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";

/** What Prometheus sends with a scrape. */
const HEADERS = {
  accept: "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1",
  "accept-encoding": "gzip",
};

/**
 * Scrapes as Prometheus does.
 *
 * @returns the body as it came, which may be compressed
 */
export async function scrape(url: string): Promise<Uint8Array> {
  return await new Promise((resolve, reject) => {
    get(url, { headers: HEADERS }, (response) => {
      if (response.statusCode === 200) buffer(response).then(resolve, reject);
      else reject(new Error(`${url} answered ${response.statusCode}`));
    }).on("error", reject);
  });
}

/** The text of a body; gzip begins with these two bytes (RFC 1952). */
export function textOf(body: Uint8Array): string {
  const isGzip = body[0] === 0x1f && body[1] === 0x8b;
  return new TextDecoder().decode(isGzip ? gunzipSync(body) : body);
}
