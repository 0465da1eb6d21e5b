/**
 * The resources of a control plane, in the JSON form of their types, see
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/api.
 *
 * @module
 */

/** A resource of any type. */
export interface Resource {
  readonly "@type": string;
  readonly [field: string]: unknown;
}

const TYPES = "type.googleapis.com/";
const EXTENSIONS = `${TYPES}envoy.extensions.`;
const POLICIES = `${EXTENSIONS}load_balancing_policies.`;

/** The name in labels of each type of resources. */
export const LISTENER = "envoy.config.listener.v3.Listener";
export const ROUTES = "envoy.config.route.v3.RouteConfiguration";
export const CLUSTER = "envoy.config.cluster.v3.Cluster";
export const ENDPOINTS = "envoy.config.endpoint.v3.ClusterLoadAssignment";

const ADS = { ads: {}, resource_api_version: "V3" };

/** The listener that clients of `xds:///name` ask for. Its routes have the same name. */
export function listener(name: string): Resource {
  return {
    "@type": TYPES + LISTENER,
    name,
    api_listener: {
      api_listener: {
        "@type": `${EXTENSIONS}filters.network.http_connection_manager.v3.HttpConnectionManager`,
        rds: { config_source: ADS, route_config_name: name },
        http_filters: [{
          name: "router",
          typed_config: { "@type": `${EXTENSIONS}filters.http.router.v3.Router` },
        }],
      },
    },
  };
}

/** Routes all calls to clusters by their weights in percent, the only ones up to grpc-js-xds 1.13. */
export function routes(name: string, weights: Readonly<Record<string, number>>): Resource {
  const clusters = Object.entries(weights).map(([name, weight]) => ({ name, weight }));
  return {
    "@type": TYPES + ROUTES,
    name,
    virtual_hosts: [{
      name,
      domains: ["*"],
      routes: [{ match: { prefix: "" }, route: { weighted_clusters: { clusters } } }],
    }],
  };
}

/** Routes that refer to nothing, which clients refuse. */
export function brokenRoutes(name: string): Resource {
  return {
    "@type": TYPES + ROUTES,
    name,
    virtual_hosts: [{ name, domains: ["*"], routes: [{ route: { cluster: "x" } }] }],
  };
}

/** A cluster whose endpoints are resources, with round robin in each locality by default. */
export function cluster(name: string, fields: object = {}): Resource {
  return {
    "@type": TYPES + CLUSTER,
    name,
    type: "EDS",
    eds_cluster_config: { eds_config: ADS },
    lb_policy: "ROUND_ROBIN",
    ...fields,
  };
}

/** A cluster that clients refuse. */
export function brokenCluster(name: string): Resource {
  return cluster(name, { lb_policy: "MAGLEV" });
}

/** A cluster of clusters, in the order of their priority. */
export function aggregateCluster(name: string, clusters: readonly string[]): Resource {
  return {
    "@type": TYPES + CLUSTER,
    name,
    cluster_type: {
      name: "envoy.clusters.aggregate",
      typed_config: { "@type": `${EXTENSIONS}clusters.aggregate.v3.ClusterConfig`, clusters },
    },
    lb_policy: "ROUND_ROBIN",
  };
}

/** A field of a cluster: weighted round robin in each locality. */
export function weightedRoundRobin(settings: object): object {
  return {
    load_balancing_policy: {
      policies: [policy("wrr_locality", `${POLICIES}wrr_locality.v3.WrrLocality`, {
        endpoint_picking_policy: {
          policies: [
            policy(
              "wrr",
              `${POLICIES}client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin`,
              settings,
            ),
          ],
        },
      })],
    },
  };
}

function policy(name: string, type: string, settings: object): object {
  return { typed_extension_config: { name, typed_config: { "@type": type, ...settings } } };
}

/** The endpoints of one locality, on the loopback interface. */
export interface Locality {
  /** Its region, zone and sub-zone, separated by slashes. */
  readonly name: string;
  readonly ports: readonly number[];
  /** 0, the default, is tried first. */
  readonly priority?: number;
  readonly weight?: number;
}

/** The endpoints of a cluster. */
export function endpoints(cluster: string, localities: readonly Locality[]): Resource {
  return {
    "@type": TYPES + ENDPOINTS,
    cluster_name: cluster,
    endpoints: localities.map(({ name, ports, priority = 0, weight = 1 }) => {
      const [region, zone, sub_zone] = name.split("/");
      return {
        locality: { region, zone, sub_zone },
        load_balancing_weight: weight,
        priority,
        lb_endpoints: ports.map((port_value) => ({
          endpoint: { address: { socket_address: { address: "127.0.0.1", port_value } } },
        })),
      };
    }),
  };
}
