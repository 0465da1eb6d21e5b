import * as grpc from "@grpc/grpc-js";
import { echoHandlers, echoService, listen } from "./echo.ts";
import type { EchoMessage } from "./echo.ts";
import type { Owner } from "./script.ts";

type Handler = (
  call: grpc.ServerUnaryCall<EchoMessage, EchoMessage>,
  reply: grpc.sendUnaryData<EchoMessage>,
) => void;

/** An Echo server in this process that fails on request and reports its load (ORCA, gRFC A51). */
export class BackEnd {
  readonly #server: grpc.Server;
  /** The calls that it answered. */
  calls = 0;
  isFailing = false;
  /**
   * What it reports with its next call, and not again, because grpc-js loads a file for each report. Its
   * weight is the queries per second divided by the utilization.
   */
  load: { readonly qps: number; readonly utilization: number } | undefined;
  port = 0;

  private constructor() {
    this.#server = new grpc.Server(
      { "grpc.server_call_metric_recording": 1 } as grpc.ServerOptions,
    );
    this.#server.addService(echoService, {
      ...echoHandlers,
      UnaryEcho: (call: Parameters<Handler>[0], reply: Parameters<Handler>[1]) => {
        this.calls++;
        const { load } = this;
        this.load = undefined;
        if (load !== undefined) {
          const recorder = call.getMetricsRecorder();
          recorder.recordQpsMetric(load.qps);
          recorder.recordApplicationUtilizationMetric(load.utilization);
        }
        if (this.isFailing) {
          reply({ code: grpc.status.INTERNAL, details: "failing on request" });
        } else (echoHandlers["UnaryEcho"] as unknown as Handler)(call, reply);
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
