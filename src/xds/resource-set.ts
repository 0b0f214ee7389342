/**
 * The seam between what makes configuration (translate/) and what carries it (the ADS server).
 *
 * Resources are encoded once, addressed by their content, and shared by every stream that gets them.
 * A `ResourceView` is one consistent answer for one scope class: a client never sees half of an old one and
 * half of a new one.
 */

/** One resource, encoded: `any` is the serialized google.protobuf.Any. */
export interface EncodedResource {
  readonly name: string
  readonly typeUrl: string
  /** Hash of the content: equal versions mean equal bytes. */
  readonly version: string
  /** Serialized `google.protobuf.Any` that holds the resource. */
  readonly any: Uint8Array
  /** Names by which clients asked for it (delta; virtual hosts on demand). */
  readonly aliases?: readonly string[]
}

/** All resources that one class of clients may get, of all types, at one revision. */
export interface ResourceView {
  readonly revision: string
  /** By name; the wildcard of LDS and CDS means all of these. */
  resources(typeUrl: string): ReadonlyMap<string, EncodedResource>
}

/**
 * Resources of one client laid over those that it shares with its class: two maps read as one, names in one only.
 * A view may give such a map; the server then compares, frames and compresses the shared part once for all.
 */
export interface LayeredResources extends ReadonlyMap<string, EncodedResource> {
  readonly shared: ReadonlyMap<string, EncodedResource>
  readonly own: ReadonlyMap<string, EncodedResource>
}

export function isLayered(
  resources: ReadonlyMap<string, EncodedResource>,
): resources is LayeredResources {
  return 'shared' in resources && 'own' in resources
}

const none: ReadonlyMap<string, EncodedResource> = new Map()

/** A view of resources of one type, by name; of all others there are none. */
export function viewOfType(
  typeUrl: string,
  { revision, resources }: { revision: string; resources: ReadonlyMap<string, EncodedResource> },
): ResourceView {
  return { revision, resources: (asked) => (asked === typeUrl ? resources : none) }
}

/** What a stream asked for by name where nothing comes by itself (server/demand.ts). */
export interface Demand {
  /** Virtual hosts: `<route configuration>/<authority>`. */
  readonly hosts: ReadonlySet<string>
  /** Given up on this stream: for servers that remember what a client had asked for before it. */
  readonly droppedHosts: ReadonlySet<string>
  readonly clusters: ReadonlySet<string>
}

/** What a stream said of itself in its first request. */
export interface StreamNode {
  readonly id: string
  readonly cluster: string
  readonly metadata: Readonly<Record<string, unknown>>
  readonly userAgentName: string
  readonly userAgentVersion: string
  readonly clientFeatures: readonly string[]
  readonly locality: { readonly region: string; readonly zone: string; readonly subZone: string }
}

/** Implemented by the control plane; the server calls it for each stream. */
export interface ViewSource {
  /**
   * The view for a client now; the same object while nothing changed for it. `demand`: what it asked for by name, on
   * streams on which that is possible (delta).
   */
  viewOf(node: StreamNode, demand?: Demand): ResourceView
  /** Makes a client's first view in slices, where it is long work; undefined: `viewOf` will be quick. */
  prepare?(node: StreamNode): Promise<void> | undefined
  /** Told whenever views may have changed; the server then asks `viewOf` for each stream again. */
  onChange(listener: () => void): Disposable
}

export const typeUrls = {
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  route: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  /** On demand (VHDS); names are `<route configuration>/<authority>`. */
  virtualHost: 'type.googleapis.com/envoy.config.route.v3.VirtualHost',
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  endpoint: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  secret: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
  extensionConfig: 'type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig',
  healthInformation: 'type.googleapis.com/istio.v1.HealthInformation',
} as const

/** Order in which one change is sent: what is referred to comes before what refers (xDS protocol, make before break). */
export const pushOrder: readonly string[] = [
  typeUrls.cluster,
  typeUrls.endpoint,
  typeUrls.secret,
  typeUrls.listener,
  typeUrls.route,
  typeUrls.virtualHost,
  typeUrls.extensionConfig,
]
