import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { connect } from "node:http2";
import { test } from "node:test";
import type { EchoMessage } from "../support/echo.ts";
import { echoClient, listen, readAll, unary } from "../support/echo.ts";
import { clientSeries, serverSeries, withEchoPair } from "../support/echo-pair.ts";
import { eventually, eventuallyEqual } from "../support/eventually.ts";

test("a unary call is recorded", () =>
  withEchoPair({}, async ({ client, recording }) => {
    assert.equal(await unary(client, "hello"), "hello");
    await eventuallyEqual(() => recording.series(), {
      ...clientSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
      ...serverSeries("UnaryEcho", "OK", { sent: 7, received: 7 }),
    });
  }));

test("an empty message has 0 bytes", () =>
  withEchoPair({}, async ({ client, recording }) => {
    // Unlike Go, protobufjs writes fields with default values, so only the request is empty.
    await new Promise((resolve) => client.UnaryEcho({} as EchoMessage, {}, resolve));
    await eventuallyEqual(() => recording.series(), {
      ...clientSeries("UnaryEcho", "OK", { sent: 0, received: 2 }),
      ...serverSeries("UnaryEcho", "OK", { sent: 2, received: 0 }),
    });
  }));

test("a server streaming call is recorded", () =>
  withEchoPair({}, async ({ client, recording }) => {
    const replies = await readAll(client.ServerStreamingEcho({ message: "hello" }));
    assert.deepEqual(replies, ["hello", "hello", "hello"]);
    await eventuallyEqual(() => recording.series(), {
      ...clientSeries("ServerStreamingEcho", "OK", { sent: 7, received: 21 }),
      ...serverSeries("ServerStreamingEcho", "OK", { sent: 21, received: 7 }),
    });
  }));

test("a client streaming call is recorded", () =>
  withEchoPair({}, async ({ client, recording }) => {
    const reply = await new Promise<string>((resolve, reject) => {
      const stream = client.ClientStreamingEcho((error, last) => {
        if (error) reject(error);
        else resolve(last!.message);
      });
      for (const message of ["a", "bb", "ccc"]) stream.write({ message });
      stream.end();
    });
    assert.equal(reply, "ccc");
    await eventuallyEqual(() => recording.series(), {
      ...clientSeries("ClientStreamingEcho", "OK", { sent: 12, received: 5 }),
      ...serverSeries("ClientStreamingEcho", "OK", { sent: 5, received: 12 }),
    });
  }));

test("a bidirectional streaming call is recorded", () =>
  withEchoPair({}, async ({ client, recording }) => {
    const stream = client.BidirectionalStreamingEcho();
    for (const message of ["a", "bb", "ccc"]) stream.write({ message });
    stream.end();
    assert.deepEqual(await readAll(stream), ["a", "bb", "ccc"]);
    await eventuallyEqual(() => recording.series(), {
      ...clientSeries("BidirectionalStreamingEcho", "OK", { sent: 12, received: 12 }),
      ...serverSeries("BidirectionalStreamingEcho", "OK", { sent: 12, received: 12 }),
    });
  }));

test("a message of 3 MiB in many HTTP/2 frames is counted in full", () =>
  withEchoPair({}, async ({ client, recording }) => {
    const text = "x".repeat(3 * 1024 * 1024);
    assert.equal(await unary(client, text), text);
    const bytes = text.length + 5;
    await eventuallyEqual(() => recording.series(), {
      ...clientSeries("UnaryEcho", "OK", { sent: bytes, received: bytes }),
      ...serverSeries("UnaryEcho", "OK", { sent: bytes, received: bytes }),
    });
  }));

test("message sizes are compressed sizes", () =>
  withEchoPair(
    { client: { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip } },
    async ({ client, recording }) => {
      await unary(client, "x".repeat(10_000));
      const series = await eventually(async () => {
        const current = await recording.series();
        assert.ok(
          "grpc.server.call.duration{method=grpc.examples.echo.Echo/UnaryEcho,status=OK}" in
            current,
        );
        return current;
      });
      const labels = "{method=grpc.examples.echo.Echo/UnaryEcho,status=OK}";
      const sent = series[`grpc.client.attempt.sent_total_compressed_message_size${labels}`]!;
      const bytes = Number(/\((\d+)\)/.exec(sent)?.[1]);
      assert.ok(bytes > 0 && bytes < 200, `gzip shrinks 10,000 equal letters: ${sent}`);
      assert.deepEqual(series, {
        ...clientSeries("UnaryEcho", "OK", { sent: bytes, received: 10_003 }),
        ...serverSeries("UnaryEcho", "OK", { sent: 10_003, received: bytes }),
      });
    },
  ));

for (
  const [code, label] of [[1, "CANCELLED"], [9, "FAILED_PRECONDITION"], [16, "UNAUTHENTICATED"], [
    17,
    "CODE(17)",
  ]] as const
) {
  test(`a failure with code ${code} is ${label}`, () =>
    withEchoPair({}, async ({ client, recording }) => {
      await unary(client, `status ${code}`);
      const bytes = `status ${code}`.length + 2;
      await eventuallyEqual(() => recording.series(), {
        ...clientSeries("UnaryEcho", label, { sent: bytes, received: 0 }),
        ...serverSeries("UnaryEcho", label, { sent: 0, received: bytes }),
      });
    }));
}

test("an unregistered method is other on the server and has its name on the client", () =>
  withEchoPair({}, async ({ server, client, recording }) => {
    server.unregister("/grpc.examples.echo.Echo/UnaryEcho");
    assert.equal(await unary(client, "hello"), "UNIMPLEMENTED");
    await eventuallyEqual(() => recording.series(), {
      ...clientSeries("UnaryEcho", "UNIMPLEMENTED", { sent: 7, received: 0 }),
      ...serverSeries("other", "UNIMPLEMENTED", { sent: 0, received: 0 }),
    });
  }));

test("a cancelled unary call is CANCELLED on both sides", () =>
  withEchoPair({}, async ({ client, recording }) => {
    const status = await new Promise<number | undefined>((resolve) => {
      const call = client.UnaryEcho({ message: "hang" }, {}, (error) => resolve(error?.code));
      void eventually(async () => {
        const started = "grpc.server.call.started{method=grpc.examples.echo.Echo/UnaryEcho}";
        assert.ok(started in await recording.series());
      }).then(() => call.cancel());
    });
    assert.equal(status, grpc.status.CANCELLED);
    await eventuallyEqual(() => recording.series(), {
      ...clientSeries("UnaryEcho", "CANCELLED", { sent: 6, received: 0 }),
      ...serverSeries("UnaryEcho", "CANCELLED", { sent: 0, received: 6 }),
    });
  }));

// A Bun server sees the client's half-close, but never the reset that follows it.
const bunServer = "Bun" in globalThis;

test("a bidirectional call that is cancelled after one message is CANCELLED on both sides", () =>
  withEchoPair({}, async ({ client, recording }) => {
    const stream = client.BidirectionalStreamingEcho();
    stream.on("data", () => stream.cancel());
    stream.write({ message: "hello" });
    assert.equal(await readAll(stream), "CANCELLED");
    await eventuallyEqual(() => recording.series(), {
      ...clientSeries("BidirectionalStreamingEcho", "CANCELLED", { sent: 7, received: 7 }),
      ...serverSeries("BidirectionalStreamingEcho", bunServer ? "OK" : "CANCELLED", {
        sent: 7,
        received: 7,
      }),
    });
  }));

test("a call whose deadline passes is DEADLINE_EXCEEDED", () =>
  withEchoPair({}, async ({ client, recording }) => {
    assert.equal(await unary(client, "", {}), ""); // connect first, so that the deadline covers only the handler
    const before = await recording.series();
    assert.equal(
      await unary(client, "hang", { deadline: Date.now() + 100 }),
      "DEADLINE_EXCEEDED",
    );
    await eventually(async () => {
      const gained = Object.entries(await recording.series())
        .filter(([key, value]) => before[key] !== value)
        .map(([key, value]) => `${key} ${value}`.replace(/grpc.examples.echo.Echo./, ""))
        // Either side may see the deadline first, so the server may record CANCELLED.
        .map((line) => /server/.test(line) ? line.replace("CANCELLED", "DEADLINE_EXCEEDED") : line);
      assert.deepEqual(gained, [
        "grpc.client.attempt.started{method=UnaryEcho} 2",
        "grpc.client.attempt.duration{method=UnaryEcho,status=DEADLINE_EXCEEDED} 1",
        "grpc.client.attempt.sent_total_compressed_message_size{method=UnaryEcho,status=DEADLINE_EXCEEDED} 1 (6)",
        "grpc.client.attempt.rcvd_total_compressed_message_size{method=UnaryEcho,status=DEADLINE_EXCEEDED} 1 (0)",
        "grpc.client.call.duration{method=UnaryEcho,status=DEADLINE_EXCEEDED} 1",
        "grpc.server.call.started{method=UnaryEcho} 2",
        "grpc.server.call.duration{method=UnaryEcho,status=DEADLINE_EXCEEDED} 1",
        "grpc.server.call.sent_total_compressed_message_size{method=UnaryEcho,status=DEADLINE_EXCEEDED} 1 (0)",
        "grpc.server.call.rcvd_total_compressed_message_size{method=UnaryEcho,status=DEADLINE_EXCEEDED} 1 (6)",
      ]);
    });
  }));

test("a call whose connection is lost ends on both sides", () =>
  withEchoPair({}, async ({ client, server, recording }) => {
    const result = unary(client, "hang");
    await eventually(async () => {
      assert.ok(
        "grpc.server.call.started{method=grpc.examples.echo.Echo/UnaryEcho}" in
          await recording.series(),
      );
    });
    server.forceShutdown();
    const status = await result;
    assert.ok(status === "UNAVAILABLE" || status === "CANCELLED", status);
    await eventuallyEqual(() => recording.series(), {
      ...clientSeries("UnaryEcho", status, { sent: 6, received: 0 }),
      ...serverSeries("UnaryEcho", "CANCELLED", { sent: 0, received: 6 }),
    });
  }));

test("a call without a server has one attempt and no bytes", () =>
  withEchoPair({}, async ({ client, server, recording }) => {
    server.forceShutdown();
    assert.equal(await unary(client, "hello"), "UNAVAILABLE");
    assert.deepEqual(
      await recording.series(),
      clientSeries("UnaryEcho", "UNAVAILABLE", { sent: 0, received: 0 }),
    );
  }));

const retryPolicy: grpc.ServiceConfig = {
  loadBalancingConfig: [],
  methodConfig: [{
    name: [{}],
    retryPolicy: {
      maxAttempts: 4,
      initialBackoff: "0.001s",
      maxBackoff: "0.001s",
      backoffMultiplier: 1,
      retryableStatusCodes: [grpc.status.UNAVAILABLE],
    },
  }],
};

test("each retry is an attempt of the same call", () => {
  let failures = 2;
  const handlers: grpc.UntypedServiceImplementation = {
    UnaryEcho(
      call: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
      reply: grpc.sendUnaryData<EchoMessage>,
    ) {
      if (failures-- > 0) reply({ code: grpc.status.UNAVAILABLE, details: "planned" });
      else reply(null, call.request);
    },
  };
  const client = { "grpc.service_config": JSON.stringify(retryPolicy) };
  return withEchoPair({ handlers, client }, async ({ client, recording }) => {
    assert.equal(await unary(client, "hello"), "hello");
    await eventually(async () => {
      const series = await recording.series();
      const count = (name: string, status?: string) =>
        series[
          `grpc.${name}{method=grpc.examples.echo.Echo/UnaryEcho${
            status ? `,status=${status}` : ""
          }}`
        ];
      assert.equal(count("client.attempt.started"), "3");
      assert.equal(count("client.attempt.duration", "UNAVAILABLE"), "2");
      assert.equal(count("client.attempt.duration", "OK"), "1");
      assert.equal(
        count("client.attempt.sent_total_compressed_message_size", "UNAVAILABLE"),
        "2 (14)",
      );
      assert.equal(count("client.call.duration", "OK"), "1");
      assert.equal(count("client.call.duration", "UNAVAILABLE"), undefined);
      assert.equal(count("server.call.started"), "3");
      assert.equal(count("server.call.duration", "UNAVAILABLE"), "2");
      assert.equal(count("server.call.duration", "OK"), "1");
    });
  });
});

test("retries without a connection are attempts that start and end", () => {
  const client = { "grpc.service_config": JSON.stringify(retryPolicy) };
  return withEchoPair({ client }, async ({ client, server, recording }) => {
    server.forceShutdown();
    assert.equal(await unary(client, "hello"), "UNAVAILABLE");
    assert.deepEqual(await recording.series(), {
      ...clientSeries("UnaryEcho", "UNAVAILABLE", { sent: 0, received: 0, count: 4 }),
      "grpc.client.call.duration{method=grpc.examples.echo.Echo/UnaryEcho,status=UNAVAILABLE}": "1",
    });
  });
});

test("an invalid path is recorded as other, a request that is not gRPC is not recorded", () =>
  withEchoPair({}, async ({ port, recording }) => {
    const session = connect(`http://127.0.0.1:${port}`);
    try {
      for (const contentType of ["application/grpc", "text/plain"]) {
        await new Promise<void>((resolve, reject) => {
          const stream = session.request({
            ":method": "POST",
            ":path": "/noslash",
            "content-type": contentType,
          });
          stream.on("error", reject);
          stream.on("close", resolve);
          stream.resume();
          stream.end();
        });
      }
    } finally {
      session.close();
    }
    await eventuallyEqual(
      () => recording.series(),
      serverSeries("other", "UNIMPLEMENTED", { sent: 0, received: 0 }),
    );
  }));

test("the target of a channel is canonical", () =>
  withEchoPair({}, async ({ client, port, recording }) => {
    await unary(client, "hello");
    const targets = await recording.valuesOf("grpc.target");
    assert.deepEqual(targets.filter((target) => target), [`dns:///localhost:${port}`]);
  }));

test("a server and a client that are not instrumented record nothing", async () => {
  await withEchoPair({}, async ({ recording }) => {
    const bare = new grpc.Server();
    const port = await listen(bare);
    const client = echoClient(`localhost:${port}`, {});
    assert.equal(await unary(client, "hello"), "UNIMPLEMENTED");
    assert.deepEqual(await recording.series(), {});
    client.close();
    bare.forceShutdown();
  });
});
