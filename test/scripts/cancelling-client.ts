/**
 * Makes a call of each kind to the address in its argument, and does not half-close those that stream
 * requests. SIGTERM cancels all calls. The connection stays open, so that the server sees only the
 * cancelled calls.
 */
import { echoClient } from "../support/echo.ts";

const client = echoClient(process.argv[2] ?? "", {});
const message = { message: "hello" };

function ended(error: unknown): void {
  if (error) console.log(`${error}`);
}

const unary = client.UnaryEcho(message, {}, ended);
const serverStream = client.ServerStreamingEcho(message).on("error", ended).resume();
const clientStream = client.ClientStreamingEcho(ended);
clientStream.write(message);
const bidirectional = client.BidirectionalStreamingEcho().on("error", ended).resume();
bidirectional.write(message);

process.on("SIGTERM", () => {
  for (const call of [unary, serverStream, clientStream, bidirectional]) call.cancel();
});
