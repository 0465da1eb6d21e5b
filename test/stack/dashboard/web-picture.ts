/// <reference lib="dom" />
import type { Browser } from "../graph-page.ts";

/** Converts a picture in PNG into WebP, which takes a fraction of the bytes. The browser does the work. */
export async function webPicture(browser: Browser, png: Uint8Array): Promise<Uint8Array> {
  const page = await browser.newPage({ viewport: { width: 100, height: 100 } });
  return Buffer.from(await page.evaluate(convert, Buffer.from(png).toString("base64")), "base64");
}

/** Converts a picture in base64. Runs in the page and can't use this module. */
async function convert(png: string): Promise<string> {
  const response = await fetch(`data:image/png;base64,${png}`);
  const bitmap = await createImageBitmap(await response.blob());
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d")!.drawImage(bitmap, 0, 0);
  const picture = await canvas.convertToBlob({ type: "image/webp", quality: 0.5 });
  const bytes = new Uint8Array(await picture.arrayBuffer());
  return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
}
