/**
 * The boundary to the xDS client of `@grpc/grpc-js-xds`. Only this file knows its private shape.
 *
 * One client serves all channels and servers of a process. It has one connection to each control plane.
 *
 * @module
 */
import { connectivityState as State } from "@grpc/grpc-js";
import { replaceMethod } from "../replace-method.ts";
import { shielded, warnOnce } from "../warning.ts";
import type {
  CacheState,
  ResourceCount,
  ServerRecorder,
  XdsClientView,
  XdsMetrics,
} from "./xds-metrics.ts";

/** grpc-js-xds's `XdsClient`. */
interface XdsClient {
  /** The connections to control planes. */
  readonly clients: { readonly client: ServerClient }[];
  /** The resources that are watched, by authority. */
  readonly authorityStateMap: ReadonlyMap<string, AuthorityState>;
  getResourceType(typeUrl: string): ResourceType | undefined;
}

/** grpc-js-xds's `XdsSingleServerClient`. */
interface ServerClient {
  readonly xdsServerConfig: { readonly server_uri: string };
  readonly adsClient: { getChannel(): { getConnectivityState(connect: boolean): State } };
  /** The stream to the control plane. Null while there is none. */
  readonly adsCallState: Stream | null;
  /** The number of authorities that use this connection. */
  readonly refcount: number;
  maybeStartAdsStream(): void;
  handleAdsConnectivityStateUpdate(): void;
}

/** grpc-js-xds's `AdsCallState`. */
interface Stream {
  handleResponseMessage(response: Response): void;
  handleStreamStatus(status: unknown): void;
}

/** A `DiscoveryResponse`. */
interface Response {
  readonly type_url: string;
  readonly resources: readonly { readonly type_url: string }[];
}

interface ResourceType {
  /** Such as `envoy.config.listener.v3.Listener`. */
  getTypeUrl(): string;
  /** Whether a response has all resources, so that a missing one does not exist. */
  allResourcesRequiredInSotW(): boolean;
  decode(...args: unknown[]): { readonly name: string; readonly value?: unknown };
}

interface AuthorityState {
  readonly client: object;
  readonly resourceMap: ReadonlyMap<ResourceType, ReadonlyMap<string, ResourceState>>;
}

interface ResourceState {
  readonly cachedResource: unknown;
  readonly deletionIgnored?: boolean;
  readonly meta: { readonly clientStatus: string };
}

/** The authority of names that are not URIs. */
const NO_AUTHORITY = "old:";

function isXdsClient(value: unknown): value is XdsClient {
  const client = value as Partial<XdsClient>;
  return Array.isArray(client.clients) && client.authorityStateMap instanceof Map &&
    typeof client.getResourceType === "function";
}

function isServerClient(value: Partial<ServerClient> | undefined): value is ServerClient {
  return typeof value?.xdsServerConfig?.server_uri === "string" &&
    typeof value.adsClient?.getChannel === "function" &&
    typeof value.maybeStartAdsStream === "function" &&
    typeof value.handleAdsConnectivityStateUpdate === "function";
}

function isStream(value: Partial<Stream> | null): value is Stream {
  return typeof value?.handleResponseMessage === "function" &&
    typeof value.handleStreamStatus === "function";
}

function warnOfShape(name: string): void {
  warnOnce(
    `gRPC metrics of xDS clients are incomplete: this version of @grpc/grpc-js-xds has another ${name}`,
  );
}

/** Returns the xDS client of a channel. Undefined if its target is not resolved with xDS. */
export function xdsClientOfChannel(channel: object): object | undefined {
  const { internalChannel } = channel as {
    readonly internalChannel?: {
      readonly resolvingLoadBalancer?: { readonly innerResolver?: object };
    };
  };
  return ownXdsClient(internalChannel?.resolvingLoadBalancer?.innerResolver);
}

/** Returns the xDS client of an `XdsServer`. Undefined for other servers. */
export function xdsClientOfServer(server: object): object | undefined {
  return ownXdsClient(server);
}

function ownXdsClient(owner: object | undefined): object | undefined {
  const { xdsClient } = (owner ?? {}) as { readonly xdsClient?: unknown };
  return typeof xdsClient === "object" && xdsClient !== null ? xdsClient : undefined;
}

/**
 * Records an xDS client, unless it is recorded already. Warns once if it has another shape.
 *
 * @param view What is known of the channel or server that uses it.
 */
export function hookXdsClient(
  xdsClient: object,
  metrics: XdsMetrics,
  view: Pick<XdsClientView, "target" | "isOn">,
): void {
  if (!isXdsClient(xdsClient)) return warnOfShape("XdsClient");
  /** Whether the latest version of a resource that arrived was valid, also if nothing had changed. */
  const validity = new WeakMap<ResourceState, boolean>();
  const recorder = metrics.recorderFor(xdsClient, {
    ...view,
    resources: () => countResources(xdsClient, validity),
  });
  if (recorder === undefined) return;

  const { clients } = xdsClient;
  const { push } = clients;
  Object.defineProperty(clients, "push", {
    configurable: true,
    writable: true,
    value(this: unknown, ...entries: XdsClient["clients"]) {
      for (const { client } of entries) shielded(() => hookServerClient(client));
      return push.apply(this as XdsClient["clients"], entries);
    },
  });
  for (const { client } of clients) hookServerClient(client);

  function hookServerClient(client: ServerClient): void {
    if (!isServerClient(client)) return warnOfShape("XdsSingleServerClient");
    const server = recorder!.server(client.xdsServerConfig.server_uri, () => client.refcount > 0);
    replaceMethod(
      client,
      "maybeStartAdsStream",
      (maybeStartAdsStream) =>
        function (this: ServerClient) {
          const before = this.adsCallState;
          maybeStartAdsStream.call(this);
          const stream = this.adsCallState;
          if (stream === null || stream === before) return;
          shielded(() => hookStream(this, stream, server));
        },
    );
    replaceMethod(
      client,
      "handleAdsConnectivityStateUpdate",
      (handleAdsConnectivityStateUpdate) =>
        function (this: ServerClient) {
          shielded(() => {
            if (isFailing(this)) server.failed();
          });
          handleAdsConnectivityStateUpdate.call(this);
        },
    );
    const stream = client.adsCallState;
    if (stream === null) return;
    hookStream(client, stream, server);
    if (isFailing(client)) server.failed();
  }

  function hookStream(client: ServerClient, stream: Stream, server: ServerRecorder): void {
    if (!isStream(stream)) return warnOfShape("AdsCallState");
    server.streamStarted();
    let hasResponse = false;
    replaceMethod(
      stream,
      "handleResponseMessage",
      (handleResponseMessage) =>
        function (this: Stream, response) {
          hasResponse = true;
          shielded(() => server.responded());
          const outcomes: Outcome[] = [];
          const type = shielded(() => (xdsClient as XdsClient).getResourceType(response.type_url));
          const restore = type && shielded(() => watchDecoding(type, outcomes));
          try {
            handleResponseMessage.call(this, response);
          } finally {
            restore?.();
          }
          if (type === undefined) return;
          shielded(() => recordResponse(client, response, type, outcomes, server));
        },
    );
    replaceMethod(
      stream,
      "handleStreamStatus",
      (handleStreamStatus) =>
        function (this: Stream, status) {
          // The client itself ends a stream that it no longer needs.
          if (!hasResponse && client.adsCallState === this) shielded(() => server.failed());
          handleStreamStatus.call(this, status);
        },
    );
  }

  /** Counts the resources of a response that are watched, or whose name cannot be known. */
  function recordResponse(
    client: ServerClient,
    { type_url, resources }: Response,
    type: ResourceType,
    outcomes: readonly Outcome[],
    server: ServerRecorder,
  ): void {
    const others = resources.filter((resource) => resource.type_url !== type_url).length;
    let invalid = others + outcomes.filter(({ name }) => name === undefined).length;
    let valid = 0;
    const byName = new Map(outcomes.map(({ name, isValid }) => [name, isValid]));
    for (const [name, state] of statesOf(xdsClient as XdsClient, client, type)) {
      const isValid = byName.get(name);
      if (isValid !== undefined) validity.set(state, isValid);
      // A resource that no longer exists keeps its old value.
      else if (type.allResourcesRequiredInSotW()) validity.delete(state);
      if (isValid === true) valid++;
      else if (isValid === false) invalid++;
    }
    server.received(type.getTypeUrl(), valid, invalid);
  }
}

function isFailing({ adsClient, adsCallState, refcount }: ServerClient): boolean {
  return (adsCallState !== null || refcount > 0) &&
    adsClient.getChannel().getConnectivityState(false) === State.TRANSIENT_FAILURE;
}

/** What became of a resource in a response. */
interface Outcome {
  /** Undefined if the resource cannot be read. */
  readonly name: string | undefined;
  readonly isValid: boolean;
}

/**
 * Adds what becomes of each resource that is decoded to a list.
 *
 * @returns A function that ends this. All clients share the type, so it must be called.
 */
function watchDecoding(type: ResourceType, outcomes: Outcome[]): () => void {
  const own = Object.getOwnPropertyDescriptor(type, "decode");
  const { decode } = type;
  Object.defineProperty(type, "decode", {
    configurable: true,
    writable: true,
    value(this: ResourceType, ...args: unknown[]) {
      let name: string | undefined;
      let isValid = false;
      try {
        const result = decode.apply(this, args);
        ({ name } = result);
        isValid = Boolean(result.value);
        return result;
      } finally {
        outcomes.push({ name, isValid });
      }
    },
  });
  return () => {
    if (own === undefined) delete (type as { decode?: unknown }).decode;
    else Object.defineProperty(type, "decode", own);
  };
}

/** Returns the watched resources of a type, by their full names, that a connection is responsible for. */
function* statesOf(
  { authorityStateMap }: XdsClient,
  client: ServerClient,
  type: ResourceType,
): Generator<[string, ResourceState]> {
  for (const [authority, { client: responsible, resourceMap }] of authorityStateMap) {
    if (responsible !== client) continue;
    for (const [key, state] of resourceMap.get(type) ?? []) {
      const name = authority === NO_AUTHORITY
        ? key
        : `xdstp://${authority}/${type.getTypeUrl()}/${key}`;
      yield [name, state];
    }
  }
}

/** Counts the resources that are watched by authority, type and state. */
function countResources(
  { authorityStateMap }: XdsClient,
  validity: WeakMap<ResourceState, boolean>,
): ResourceCount[] {
  return [...authorityStateMap].flatMap(([name, { resourceMap }]) =>
    [...resourceMap].flatMap(([type, states]) => {
      const counts = new Map<CacheState, number>();
      for (const state of states.values()) {
        const cacheState = cacheStateOf(state, validity.get(state));
        counts.set(cacheState, (counts.get(cacheState) ?? 0) + 1);
      }
      return [...counts].map(([cacheState, count]) => ({
        authority: name === NO_AUTHORITY ? "#old" : name,
        type: type.getTypeUrl(),
        cacheState,
        count,
      }));
    })
  );
}

/**
 * Returns the label `grpc.xds.cache_state` of a resource (gRFC A78, A88).
 *
 * @param isValid Whether its latest version was valid. grpc-js-xds does not change its status if that
 * equals the version before the invalid one.
 */
function cacheStateOf(
  { cachedResource, deletionIgnored, meta }: ResourceState,
  isValid: boolean | undefined,
): CacheState {
  if (deletionIgnored === true) return "does_not_exist_but_cached";
  switch (meta.clientStatus) {
    case "ACKED":
      return "acked";
    case "NACKED":
      if (isValid === true) return "acked";
      return cachedResource ? "nacked_but_cached" : "nacked";
    case "DOES_NOT_EXIST":
      return isValid === true ? "acked" : "does_not_exist";
    default:
      return "requested";
  }
}
