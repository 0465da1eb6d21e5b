import { connect } from "node:http2";
import { statusName } from "./echo.ts";

/**
 * Makes a call with plain HTTP/2, to send what no gRPC client sends.
 *
 * @param headers Headers that are added to those of a unary Echo call, or replace them.
 * @param body The gRPC frames of the request.
 * @returns The name of the status in the answer, or `nothing`.
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
