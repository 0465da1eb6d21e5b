/**
 * The boundary to grpc-js's credentials. Only this file knows their private shape.
 *
 * @module
 */
import { ChannelCredentials } from "@grpc/grpc-js";

type FromSecureContext = typeof ChannelCredentials.createFromSecureContext;

/** Credentials of grpc-js. */
interface Credentials {
  _isSecure(): boolean;
  /** Of credentials for TLS. */
  readonly secureContext?: Parameters<FromSecureContext>[0];
  readonly verifyOptions?: Parameters<FromSecureContext>[1];
  /** Of credentials that are composed. */
  readonly channelCredentials?: Credentials;
  readonly callCredentials?: Parameters<ChannelCredentials["compose"]>[0];
}

const known = new WeakMap<object, ChannelCredentials>();

/**
 * Returns credentials that a channel of the plugin's copy of grpc-js accepts, and that do the
 * same as the given ones of another copy.
 *
 * @throws {TypeError} If the credentials have an unknown shape.
 */
export function adopted(foreign: Credentials): ChannelCredentials {
  // A channel rejects anything else, with its own error.
  if (typeof foreign?._isSecure !== "function") return foreign as ChannelCredentials;
  let credentials = known.get(foreign);
  if (credentials === undefined) known.set(foreign, credentials = adopt(foreign));
  return credentials;
}

function adopt(foreign: Credentials): ChannelCredentials {
  const insecure = ChannelCredentials.createInsecure();
  if (!foreign._isSecure()) return insecure;
  const methods = methodsOf(insecure);
  if (methods.every((name) => name in foreign)) return standIn(foreign, methods);
  const { secureContext, verifyOptions, channelCredentials, callCredentials } = foreign;
  if (channelCredentials !== undefined && callCredentials !== undefined) {
    return adopted(channelCredentials).compose(callCredentials);
  }
  if (secureContext !== undefined) {
    return ChannelCredentials.createFromSecureContext(secureContext, verifyOptions);
  }
  throw new TypeError(
    "The channel credentials come from a copy of @grpc/grpc-js that is bundled and has another " +
      "version than the plugin's. Create the client without clientOptions and pass its " +
      "getChannel() to instrumentChannel",
  );
}

/** Returns credentials of the plugin's copy that call the methods of the given ones. */
function standIn(foreign: object, methods: readonly string[]): ChannelCredentials {
  const credentials = Object.create(ChannelCredentials.prototype);
  for (const name of methods) {
    credentials[name] = (foreign as Record<string, (...args: unknown[]) => unknown>)[name]!
      .bind(foreign);
  }
  credentials._equals = (other: unknown) => other === credentials;
  return credentials;
}

/** Returns the names of the methods that an object inherits. */
function methodsOf(object: object): string[] {
  const prototype = Object.getPrototypeOf(object);
  if (prototype === Object.prototype) return [];
  return [...Object.getOwnPropertyNames(prototype), ...methodsOf(prototype)]
    .filter((name) => name !== "constructor");
}
