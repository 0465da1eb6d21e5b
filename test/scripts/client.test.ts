/** What the client does and prints. Several tests run at a time, because they mostly wait. */
import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { suite, test } from "node:test";
import { freePort } from "../support/ports.ts";
import { run, RUNTIMES, startClient, startServer } from "../support/script.ts";
import { onTerminal, withoutTerminal } from "./terminal.ts";

const LATENCIES = ["min", "mean", "p50", "p90", "p95", "p99", "max"];

suite("client", { concurrency: 3 }, () => {
  for (const runtime of RUNTIMES) {
    test(`${runtime}: prints each reply as Go does, then a summary`, async (t) => {
      const address = `:${await freePort()}`;
      await startServer(t, runtime, { ECHO_ADDR: address });
      const { script } = await startClient(t, runtime, {
        ECHO_ADDR: address,
        ECHO_COUNT: "2",
        ECHO_INTERVAL_MS: "1",
      });
      assert.equal(await script.exit(), 0);
      const reply = `message:"this is examples/opentelemetry (from ${address})"`;
      assert.equal(
        script.stdout.replaceAll(/\d+(\.\d+)?( (µs|ms|s))?$/gm, "#"),
        [
          script.stdout.split("\n")[0],
          reply,
          reply,
          "Summary:",
          ...["Calls    ", "Succeeded", "Duration ", "QPS      "].map((row) => `  ${row}  #`),
          "",
          "Latency:",
          ...LATENCIES.map((row) => `  ${row.padEnd(4)}  #`),
          "",
          "",
        ].join("\n"),
      );
      assert.match(script.stdout, /^ {2}Calls {6}2\n {2}Succeeded {2}2$/m);
      assert.equal(script.stderr, "");
    });

    test(`${runtime}: three replies on a stream, and a message of any length`, async (t) => {
      const server = await startServer(t, runtime);
      const { script } = await startClient(t, runtime, {
        ECHO_ADDR: server.address,
        ECHO_METHOD: "BidirectionalStreamingEcho",
        ECHO_MESSAGE_BYTES: "5",
        ECHO_COUNT: "1",
      });
      assert.equal(await script.exit(), 0);
      assert.deepEqual(
        script.stdout.match(/^message:.*$/gm),
        Array(3).fill('message:"xxxxx (from 127.0.0.1:0)"'),
      );
    });

    test(`${runtime}: a deadline that passes is an error`, async (t) => {
      const server = await startServer(t, runtime, { ECHO_DELAY_MS: "3600000" });
      const { script } = await startClient(t, runtime, {
        ECHO_ADDR: server.address,
        ECHO_DEADLINE_MS: "300",
        ECHO_COUNT: "1",
      });
      assert.equal(await script.exit(), 1);
      assert.match(script.stderr, /^DEADLINE_EXCEEDED: [^\n]+\n$/);
      assert.match(script.stdout, /^Errors:\n {2}DEADLINE_EXCEEDED {2}1$/m);
    });

    test(`${runtime}: without a server, it prints an error line with the code and exits with 1`, async (t) => {
      const { script } = await startClient(t, runtime, {
        ECHO_ADDR: `127.0.0.1:${await freePort()}`,
        ECHO_COUNT: "3",
      });
      assert.equal(await script.exit(), 1);
      assert.match(
        script.stderr,
        /^UNAVAILABLE: .*\nNo server .* ECHO_ADDR=127.*: run `bun run server\.ts` .*\n(UNAVAILABLE: .*\n)*$/,
      );
      assert.match(script.stdout, /^ {2}Calls {6}3\n {2}Succeeded {2}0$/m);
      assert.match(script.stdout, /^Errors:\n {2}UNAVAILABLE {2}3$/m);
    });

    test(`${runtime}: continues when the server stops, and when it is back`, async (t) => {
      const address = `127.0.0.1:${await freePort()}`;
      const { script } = await startClient(t, runtime, {
        ECHO_ADDR: address,
        ECHO_INTERVAL_MS: "100",
      });
      await script.printedError(/^UNAVAILABLE: /m);
      for (let round = 1; round <= 2; round++) {
        script.stdout = script.stderr = "";
        const server = await startServer(t, runtime, { ECHO_ADDR: address });
        await script.printed(/^message:.*\n/m);
        assert.equal(await server.script.stop(), 0);
        await script.printedError(/^UNAVAILABLE: /m);
      }
      assert.equal(await script.stop("SIGINT"), 0, "some calls succeeded");
      assert.match(script.stdout, /^Summary:$/m);
    });

    test(`${runtime}: addresses of every form`, { skip: withoutIpv6() }, async (t) => {
      const forms = [":0", "localhost:0", "127.0.0.1:0", "[::1]:0"];
      await Promise.all(forms.map(async (form) => {
        const server = await startServer(t, runtime, { ECHO_ADDR: form });
        assert.ok(server.address.startsWith(form.slice(0, -1)) && server.address !== form);
        const client = await startClient(t, runtime, {
          ECHO_ADDR: server.address,
          ECHO_COUNT: "1",
        });
        assert.equal(await client.script.exit(), 0, client.script.stderr);
        assert.ok(client.script.stdout.includes(`(from ${form})`), client.script.stdout);
        assert.equal(await server.script.stop(), 0);
      }));
    });

    test(`${runtime}: several calls at a time have one live line on a terminal`, {
      skip: withoutTerminal(),
    }, async (t) => {
      const server = await startServer(t, runtime, { ECHO_DELAY_MS: "10" });
      const command = run(runtime, "client.ts");
      const environment = {
        ECHO_CONCURRENCY: "4",
        ECHO_DURATION_S: "2.5",
        OTEL_EXPORTER_PROMETHEUS_PORT: "0",
      };
      const live = await onTerminal(t, command, { ...environment, ECHO_ADDR: server.address });
      assert.match(live, /<clear>\d s {2}[\d.]+ QPS {2}p50 [^<]+ {2}p95 [^<]+ {2}p99 [^<]+<clear>/);
      assert.doesNotMatch(live, /message:/);
      // The line is erased before the summary.
      assert.match(live, /<clear>Summary:\r\n/);

      const nobody = `127.0.0.1:${await freePort()}`;
      const failing = await onTerminal(t, command, { ...environment, ECHO_ADDR: nobody });
      assert.match(failing, /<clear>\d s {2}[\d.]+ QPS {2}UNAVAILABLE \d+<clear>/);
    });
  }
});

/** Returns the reason to skip tests that need IPv6, if any. */
function withoutIpv6(): string | false {
  const addresses = Object.values(networkInterfaces()).flat();
  return addresses.some((address) => address?.family === "IPv6") ? false : "no IPv6 here";
}
