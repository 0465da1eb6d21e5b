/**
 * The boundary to the tree of a channel's load balancing policies, those of grpc-js and those of
 * `@grpc/grpc-js-xds`. Only this file knows the private shape of the tree.
 *
 * Policies hold their children in handlers, which replace a child when an update of the service config
 * asks for another policy. A handler or a map gets a child before the child gets its addresses, so a
 * new policy is seen before it has done anything.
 *
 * @module
 */
import { experimental } from "@grpc/grpc-js";
import { onAssigned } from "../on-assigned.ts";
import { replaceMethod } from "../replace-method.ts";
import { shielded, warnOnce } from "../warning.ts";

/** grpc-js's `ChildLoadBalancerHandler`. */
interface Handler {
  currentChild: Policy | null;
  pendingChild: Policy | null;
  readonly latestConfig?: ClusterConfig | null;
}

/** A configuration that may name an xDS cluster. */
interface ClusterConfig {
  getCluster?(): string;
}

/** A load balancing policy. */
export interface Policy {
  getTypeName(): string;
  /** Its child, if it has one of its own kind of configuration. */
  readonly childBalancer?: unknown;
  /** Its children by name, or its endpoints. */
  readonly children?: unknown;
  /** The children of the policy `weighted_target`, by locality. */
  readonly targets?: unknown;
}

/** The policy `priority`. */
interface PriorityPolicy extends Policy {
  readonly priorities: readonly string[];
  readonly currentPriority: number | null;
}

/** The policy `xds_cluster_impl`: what is below it belongs to one cluster. */
interface ClusterPolicy extends Policy {
  readonly latestConfig?: ClusterConfig | null;
  /** grpc-js-xds spells it like this. A list up to 1.13. */
  readonly lastestEndpointList?: EndpointList | null;
  readonly channelControlHelper?: {
    createSubchannel(address: Address, ...rest: unknown[]): unknown;
  };
}

type EndpointList = readonly Endpoint[] | { readonly value?: readonly Endpoint[] };
type Address = Parameters<typeof experimental.subchannelAddressToString>[0];

/** The addresses of one back end. */
export interface Endpoint {
  readonly addresses?: readonly Address[];
  readonly locality?: Locality;
}

/** An xDS locality. */
interface Locality {
  readonly region?: string;
  readonly zone?: string;
  readonly sub_zone?: string;
}

/** The parts of grpc-js's `InternalChannel` that this file uses. */
interface InternalChannel {
  readonly currentPicker?: object;
  readonly resolvingLoadBalancer?: { readonly childLoadBalancer?: unknown };
}

/** The labels of what a policy or a connection belongs to. Empty without xDS. */
export interface LoadBalancerLabels {
  /** `grpc.lb.locality` (gRFC A78) */
  readonly locality: string;
  /** `grpc.lb.backend_service` (gRFC A89) */
  readonly backendService: string;
}

/** The labels without xDS. */
export const NOWHERE: LoadBalancerLabels = { locality: "", backendService: "" };

function internalChannelOf(channel: object): InternalChannel | undefined {
  return (channel as { readonly internalChannel?: InternalChannel }).internalChannel;
}

function isHandler(value: unknown): value is Handler {
  return typeof value === "object" && value !== null && "currentChild" in value &&
    "pendingChild" in value;
}

function isPolicy(value: unknown): value is Policy {
  return typeof (value as Partial<Policy> | null)?.getTypeName === "function";
}

/** Returns the handler of a channel's policies. Warns once and returns undefined if there is none. */
function rootOf(internalChannel: InternalChannel | undefined): Handler | undefined {
  const root = internalChannel?.resolvingLoadBalancer?.childLoadBalancer;
  if (isHandler(root)) return root;
  warnOnce(
    "gRPC load balancing policies are not recorded: this version of @grpc/grpc-js has no " +
      "InternalChannel whose resolvingLoadBalancer has a childLoadBalancer",
  );
  return undefined;
}

/** Where a policy is in the tree. */
export class Place {
  readonly #cluster: ClusterPolicy | undefined;
  readonly #isInLocality: boolean;

  /**
   * @param cluster The nearest ancestor that belongs to one cluster.
   * @param isInLocality Whether an ancestor below that belongs to one locality.
   */
  constructor(cluster?: ClusterPolicy, isInLocality = false) {
    this.#cluster = cluster;
    this.#isInLocality = isInLocality;
  }

  below(policy: Policy): Place {
    return policy.getTypeName() === "xds_cluster_impl" ? new Place(policy) : this;
  }

  inLocality(): Place {
    return new Place(this.#cluster, true);
  }

  /** Returns the labels of a policy here. @param endpoint One of its endpoints. */
  labels(endpoint: Endpoint | undefined): LoadBalancerLabels {
    return {
      locality: this.#isInLocality ? localityLabel(endpoint?.locality) : "",
      backendService: clusterName(this.#cluster?.latestConfig),
    };
  }
}

/** Returns the name of the cluster that a configuration is for, or an empty string. */
function clusterName(config: ClusterConfig | null | undefined): string {
  return config?.getCluster?.() ?? "";
}

/** Returns the name of the cluster of a policy whose only child belongs to one cluster. */
export function clusterBelow({ childBalancer }: Policy): string {
  return isHandler(childBalancer) ? clusterName(childBalancer.latestConfig) : "";
}

/** Returns the label `grpc.lb.locality` (gRFC A78). */
function localityLabel(locality: Locality | undefined): string {
  if (locality === undefined) return "";
  const { region = "", zone = "", sub_zone = "" } = locality;
  return `{region="${region}", zone="${zone}", sub_zone="${sub_zone}"}`;
}

/**
 * Calls a function with each policy that a channel has or gets. A policy that is created has not been
 * used yet. The function must not throw.
 */
export function watchPolicies(
  channel: object,
  visit: (policy: Policy, place: Place) => void,
): void {
  const root = rootOf(internalChannelOf(channel));
  if (root === undefined) return;
  const seen = new WeakSet<object>();

  function watchHandler(handler: Handler, place: Place): void {
    for (const field of ["currentChild", "pendingChild"] as const) {
      onAssigned(handler, field, (child) => watchPolicy(child, place));
      watchPolicy(handler[field], place);
    }
  }

  function watchPolicy(policy: unknown, place: Place): void {
    // A pending child is assigned again when it becomes the current one.
    if (!isPolicy(policy) || seen.has(policy)) return;
    seen.add(policy);
    visit(policy, place);
    const below = place.below(policy);
    const { childBalancer, children, targets } = policy;
    if (isHandler(childBalancer)) watchHandler(childBalancer, below);
    if (children instanceof Map) watchMap(children, below);
    if (targets instanceof Map) watchMap(targets, below.inLocality());
  }

  function watchMap(map: Map<unknown, unknown>, place: Place): void {
    const watchEntry = (entry: unknown) => {
      const handler = handlerOf(entry);
      // An entry may be set again.
      if (handler === undefined || seen.has(handler)) return;
      seen.add(handler);
      watchHandler(handler, place);
    };
    replaceMethod(
      map,
      "set",
      (set) =>
        function (this: Map<unknown, unknown>, key, entry) {
          shielded(() => watchEntry(entry));
          return set.call(this, key, entry);
        },
    );
    for (const entry of map.values()) watchEntry(entry);
  }

  watchHandler(root, new Place());
}

/** Returns the handler in an entry of a policy's children. Undefined if they are its endpoints. */
function handlerOf(entry: unknown): Handler | undefined {
  const handler = (entry as { childBalancer?: unknown } | undefined)?.childBalancer;
  return isHandler(handler) ? handler : undefined;
}

/** What a call of a channel is balanced by. */
export interface Route {
  /** The prefix of the types of delays: the current priority of each policy `priority` (gRFC A121). */
  readonly priorities: string;
  /** Undefined without xDS, and if the cluster cannot be known. */
  readonly cluster: ClusterPolicy | undefined;
}

const DIRECT: Route = { priorities: "", cluster: undefined };

/**
 * Returns a function that follows a call of a channel through the tree, before a pick. The result is
 * kept until the tree changes its picker.
 */
export function routes(internalChannel: object): (cluster: string | undefined) => Route {
  const channel: InternalChannel = internalChannel;
  const root = rootOf(channel);
  if (root === undefined) return () => DIRECT;
  let known = new Map<string | undefined, Route>();
  let picker: object | undefined;
  return (cluster) => {
    if (picker === undefined || channel.currentPicker !== picker) {
      picker = channel.currentPicker;
      known = new Map();
    }
    let route = known.get(cluster);
    if (route === undefined) known.set(cluster, route = follow(root, cluster));
    return route;
  };
}

/** @param cluster The cluster that the channel's configuration chose for the call. */
function follow(root: Handler, cluster: string | undefined): Route {
  let priorities = "";
  let leaf: ClusterPolicy | undefined;
  let handler: Handler | undefined = root;
  while (isPolicy(handler?.currentChild)) {
    const policy: Policy = handler.currentChild;
    switch (policy.getTypeName()) {
      case "xds_cluster_impl":
        leaf = policy;
        handler = handlerOf(policy);
        break;
      case "xds_cluster_manager":
        handler = childOf(policy, cluster);
        break;
      case "priority": {
        const { currentPriority, priorities: names } = policy as PriorityPolicy;
        if (typeof currentPriority !== "number") return { priorities, cluster: leaf };
        priorities += `p${currentPriority}:`;
        handler = childOf(policy, names[currentPriority]);
        break;
      }
      default:
        handler = handlerOf(policy);
    }
  }
  return { priorities, cluster: leaf };
}

function childOf({ children }: Policy, name: string | undefined): Handler | undefined {
  return children instanceof Map ? handlerOf(children.get(name)) : undefined;
}

/** Returns the label `grpc.lb.backend_service` of a route. */
export function backendServiceOf({ cluster }: Route): string {
  return clusterName(cluster?.latestConfig);
}

/** The localities of each list of endpoints, by address. A cluster gets a new list with each update. */
const localities = new WeakMap<EndpointList, ReadonlyMap<string, string>>();

/**
 * Returns the label `grpc.lb.locality` of an address of a cluster. If several localities have the
 * address it is that of the last one, as in the load reports of grpc-js-xds.
 */
export function localityOf(cluster: ClusterPolicy | undefined, address: string): string {
  const list = cluster?.lastestEndpointList;
  if (typeof list !== "object" || list === null) return "";
  let known = localities.get(list);
  if (known === undefined) localities.set(list, known = localitiesOf(list));
  return known.get(address) ?? "";
}

function localitiesOf(list: EndpointList): ReadonlyMap<string, string> {
  const endpoints: readonly Endpoint[] = "length" in list ? list : list.value ?? [];
  return new Map(
    endpoints.flatMap(({ addresses = [], locality }) =>
      addresses.map((address) => [
        experimental.subchannelAddressToString(address),
        localityLabel(locality),
      ])
    ),
  );
}

/** The labels of the subchannel that a policy is asking for. */
let asked: LoadBalancerLabels | undefined;

/** Returns the labels of a subchannel of a channel. */
export type LabelsOfSubchannel = (subchannel: { getAddress?(): string }) => LoadBalancerLabels;

/**
 * Watches which cluster and locality a channel asks for a subchannel for.
 *
 * @returns A function that is to be called when a subchannel is created, and for older ones.
 */
export function watchSubchannels(channel: object): LabelsOfSubchannel {
  watchPolicies(channel, (policy) => {
    if (policy.getTypeName() !== "xds_cluster_impl") return;
    const cluster: ClusterPolicy = policy;
    const helper = cluster.channelControlHelper;
    if (typeof helper?.createSubchannel !== "function") return;
    replaceMethod(
      helper,
      "createSubchannel",
      (createSubchannel) =>
        function (this: typeof helper, address, ...rest) {
          const outer = asked;
          asked = shielded(() =>
            labelsIn(cluster, experimental.subchannelAddressToString(address))
          );
          try {
            return createSubchannel.call(this, address, ...rest);
          } finally {
            asked = outer;
          }
        },
    );
  });
  return (subchannel) => asked ?? labelsOfAddress(channel, subchannel.getAddress?.() ?? "");
}

/** Returns the labels of a subchannel that a channel has already. */
function labelsOfAddress(channel: object, address: string): LoadBalancerLabels {
  const root = rootOf(internalChannelOf(channel));
  for (const policy of root === undefined ? [] : policiesBelow(root)) {
    if (policy.getTypeName() !== "xds_cluster_impl") continue;
    const labels = labelsIn(policy, address);
    if (labels.locality !== "") return labels;
  }
  return NOWHERE;
}

function* policiesBelow(handler: Handler): Generator<Policy> {
  for (const policy of [handler.currentChild, handler.pendingChild]) {
    if (!isPolicy(policy)) continue;
    yield policy;
    const { children, targets } = policy;
    const entries = [policy, ...mapValues(children), ...mapValues(targets)];
    for (const below of entries.map(handlerOf)) {
      if (below !== undefined) yield* policiesBelow(below);
    }
  }
}

function mapValues(map: unknown): Iterable<unknown> {
  return map instanceof Map ? map.values() : [];
}

function labelsIn(cluster: ClusterPolicy, address: string): LoadBalancerLabels {
  return {
    locality: localityOf(cluster, address),
    backendService: clusterName(cluster.latestConfig),
  };
}
