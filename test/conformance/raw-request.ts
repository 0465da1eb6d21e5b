import { connect } from "node:http2";
import { statusName } from "./calls.ts";

/**
 * Makes a call without gRPC, for what no gRPC client can be made to send.
 *
 * @param headers Besides those of a unary Echo call, or instead of them.
 * @param body The request's frames.
 * @returns The name of the status that came back, or `nothing`.
 */
export function rawRequest(
  port: number,
  headers: Record<string, string>,
  body: Buffer,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`);
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.examples.echo.Echo/UnaryEcho",
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    let saw = "nothing";
    const note = (received: Record<string, unknown>) => {
      if ("grpc-status" in received) {
        saw = statusName(Number(received["grpc-status"]));
      }
    };
    stream.on("response", note).on("trailers", note).on("error", reject).on(
      "close",
      () => {
        session.close();
        resolve(saw);
      },
    );
    stream.resume();
    stream.end(body);
  });
}
