import * as grpc from "@grpc/grpc-js";
import { echoHandlers, echoService, listen } from "./echo.ts";
import type { EchoMessage } from "./echo.ts";
import type { Owner } from "./script.ts";

/** What a back end reports of itself (ORCA, gRFC A51). Its weight is `qps / utilization`. */
interface Load {
  readonly qps: number;
  readonly utilization: number;
}

/** An Echo server in this process that fails on request and reports its load. */
export class BackEnd {
  readonly #server = new grpc.Server();
  /** The calls that it answered. */
  calls = 0;
  isFailing = false;
  /** What it reports with its next call, and not again, because grpc-js loads a file for each report. */
  load: Load | undefined;
  port = 0;

  private constructor() {
    this.#server.addService(echoService, {
      ...echoHandlers,
      UnaryEcho: (
        { request }: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
        reply: grpc.sendUnaryData<EchoMessage>,
      ) => {
        this.calls++;
        const trailer = new grpc.Metadata();
        if (this.load !== undefined) trailer.set("endpoint-load-metrics-bin", encode(this.load));
        this.load = undefined;
        if (this.isFailing) reply({ code: grpc.status.INTERNAL, details: "failing on request" });
        else reply(null, request, trailer);
      },
    });
  }

  /** Starts a back end on a free port. It stops with its owner. */
  static async start(owner: Owner): Promise<BackEnd> {
    const backEnd = new BackEnd();
    owner.after(() => Promise.resolve(backEnd.stop()));
    backEnd.port = await listen(backEnd.#server);
    return backEnd;
  }

  /** Starts several back ends. */
  static startAll(owner: Owner, count: number): Promise<BackEnd[]> {
    return Promise.all(Array.from({ length: count }, () => BackEnd.start(owner)));
  }

  /** Closes the port and all connections. */
  stop(): void {
    this.#server.forceShutdown();
  }
}

/** Encodes a load as an `xds.data.orca.v3.OrcaLoadReport`. grpc-js would load a file for each call. */
function encode({ qps, utilization }: Load): Buffer {
  const report = Buffer.alloc(18);
  report[0] = 6 << 3 | 1; // rps_fractional, a double
  report.writeDoubleLE(qps, 1);
  report[9] = 9 << 3 | 1; // application_utilization, a double
  report.writeDoubleLE(utilization, 10);
  return report;
}
