import { readFileSync } from "node:fs";
import { connect } from "node:tls";

/**
 * Returns the common name of the certificate that a server presents on a new connection.
 *
 * @param address `127.0.0.1:port`
 * @param authority The path of the certificate of the authority that must have issued it.
 */
export function shownCertificate(address: string, authority: string): Promise<string> {
  const [host = "", port] = address.split(":");
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port: Number(port),
      servername: "localhost",
      ca: readFileSync(authority),
      ALPNProtocols: ["h2", "http/1.1"],
    }, () => {
      const { subject } = socket.getPeerCertificate();
      socket.destroy();
      resolve(String(subject.CN));
    });
    socket.on("error", reject);
  });
}
