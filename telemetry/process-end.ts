const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/**
 * Finishes work before the process ends by itself, or by a signal that the program does not handle.
 * Exit code and signal stay as they are. A second signal ends the process at once.
 *
 * Work is not finished if the program calls `process.exit()` or throws: then nothing can be awaited.
 *
 * @param finish called once; must not reject
 */
export function beforeProcessEnds(finish: () => Promise<void>): void {
  let finished: Promise<void> | undefined;
  const finishOnce = () => finished ??= finish();
  process.once("beforeExit", async () => {
    await finishOnce();
    // What did not answer in time would keep the process alive.
    if (process.listenerCount("beforeExit") === 0) process.exit();
  });
  for (const signal of SIGNALS) beforeDefaultAction(signal, finishOnce);
}

/**
 * Finishes work before the default action of a signal, which is to end the process. Listens only
 * while no one else does: programs and libraries look at the number of listeners.
 */
function beforeDefaultAction(signal: NodeJS.Signals, finish: () => Promise<void>): void {
  const end = () => {
    process.off("removeListener", removed);
    process.off(signal, end);
    void finish().then(() => process.kill(process.pid, signal));
  };
  const added = (event: string | symbol, listener: unknown) => {
    if (event !== signal || listener === end) return;
    // Without any listener, Node would stop to watch the signal before it adds this one.
    queueMicrotask(() => {
      if (process.listenerCount(signal) > 1) process.off(signal, end);
    });
  };
  const removed = (event: string | symbol, listener: unknown) => {
    if (event !== signal || listener === end) return;
    // Deno would call a listener that is added while it handles the signal.
    queueMicrotask(() => {
      if (process.listenerCount(signal) === 0) process.on(signal, end);
    });
  };
  process.on(signal, end);
  process.on("newListener", added);
  process.on("removeListener", removed);
}
