/// <reference lib="dom" />
import { crc32, deflateSync } from "node:zlib";
import type { Browser } from "../graph-page.ts";

/**
 * Makes a picture half as large, so that it can be in the repository. It keeps 16 values of each
 * colour channel, of which few are used, and compresses better than the browser.
 *
 * @param browser Decodes the picture.
 * @see https://www.w3.org/TR/png-3/
 */
export async function smallPng(browser: Browser, png: Uint8Array): Promise<Uint8Array> {
  const page = await browser.newPage({ viewport: { width: 100, height: 100 } });
  const { width, height, pixels } = await page.evaluate(
    decode,
    Buffer.from(png).toString("base64"),
  );
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8); // 8 bits for each of red, green and blue
  const channels = Buffer.from(pixels, "base64").map((each) => Math.round(each / 17) * 17);
  const lines = Buffer.alloc(height * (1 + 3 * width));
  for (let y = 0; y < height; y++) {
    // The first byte of a line says that it is not filtered.
    lines.set(channels.subarray(y * 3 * width, (y + 1) * 3 * width), y * (1 + 3 * width) + 1);
  }
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(lines, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}

/** Returns red, green and blue of each pixel. Runs in the page and can't use this module. */
async function decode(
  png: string,
): Promise<{ width: number; height: number; pixels: string }> {
  const response = await fetch(`data:image/png;base64,${png}`);
  const bitmap = await createImageBitmap(await response.blob());
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d")!;
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  let text = "";
  for (let i = 0; i < data.length; i++) if (i % 4 < 3) text += String.fromCharCode(data[i]!);
  return { width, height, pixels: btoa(text) };
}
