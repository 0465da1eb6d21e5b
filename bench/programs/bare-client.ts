/**
 * The simplest possible loop of grpc-js calls, 50 at a time: `bare-client.ts PORT SECONDS`. Like
 * `client.ts`, it counts from the first call.
 *
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { unaryCalls } from "./echo.ts";

const CONCURRENCY = 50;
const [port = "", seconds] = process.argv.slice(2);
const call = unaryCalls(grpc, port, {});
const start = performance.now();
const end = start + Number(seconds) * 1000;
let calls = 0;
let running = CONCURRENCY;

function worker(): void {
  call((error) => {
    if (error) throw error;
    calls++;
    if (performance.now() < end) worker();
    else if (--running === 0) finish();
  });
}

function finish(): void {
  console.log(`QPS ${calls / ((performance.now() - start) / 1000)}`);
  process.exit(0);
}

for (let i = 0; i < CONCURRENCY; i++) worker();
