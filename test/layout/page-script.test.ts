/** The script of the live page is what its sources say. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { SCRIPT_FILE, scriptModule } from "../../npm/page-script.ts";

test("telemetry/page/script.ts is made of browser.ts; npm run page makes it again", async () => {
  assert.equal(readFileSync(SCRIPT_FILE, "utf8"), await scriptModule());
});
