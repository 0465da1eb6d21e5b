/**
 * Decodes the trailer `grpc-message`.
 *
 * @param message Percent-encoded UTF-8.
 * @returns The message as it was sent if it is badly encoded: it must not be thrown away (gRPC over
 * HTTP/2, Responses).
 */
export function decodedMessage(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}
