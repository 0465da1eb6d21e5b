/** Values that an application may throw, by name. Many are hard to convert to text. */
export const THROWN: Readonly<Record<string, () => unknown>> = {
  "an error": () => new Error("planned"),
  "nothing": () => undefined,
  "null": () => null,
  "a symbol": () => Symbol("planned"),
  "an object without a prototype": () => Object.create(null),
  "an object whose toString throws": () => ({
    toString() {
      throw new Error("toString");
    },
  }),
  "an object whose toString gives an object": () => ({ toString: () => ({}), valueOf: () => ({}) }),
  "a rejected promise": () => Promise.reject(new Error("rejected")),
  "a frozen error": () => Object.freeze(new Error("frozen")),
  "an error whose message throws": () =>
    Object.defineProperty(new Error(), "message", {
      get() {
        throw new Error("message");
      },
    }),
  "an error whose message is a symbol": () =>
    Object.defineProperty(new Error(), "message", { value: Symbol("message") }),
  "a proxy that throws at everything": () => {
    const refuse = () => {
      throw new Error("trap");
    };
    return new Proxy({}, { get: refuse, has: refuse, getPrototypeOf: refuse, ownKeys: refuse });
  },
  "a revoked proxy": () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
  "an error of several lines and terminal escapes": () => new Error("\u001b[2Jone\r\ntwo\u2028"),
  "an error of a long text": () => new Error("long ".repeat(100_000)),
  "a long text": () => "😀\n".repeat(100_000),
};
