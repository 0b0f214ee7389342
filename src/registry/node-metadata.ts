/**
 * What a joining sidecar says of itself in `Node.metadata`, in Istio's words where Istio has them.
 *
 * Node id: `sidecar~IP~name.namespace~namespace.svc.cluster.local`. Metadata keys of Istio's agent: NAMESPACE,
 * WORKLOAD_NAME, NODE_NAME, SERVICE_ACCOUNT, LABELS, CLUSTER_ID, MESH_ID, NETWORK, AUTO_REGISTER_GROUP. Ours, because the
 * agent assigns ports where several sidecars share one host:
 *
 * | key | value |
 * | --- | --- |
 * | MESH_PORTS | list of { name, servicePort, appPort, meshPort } |
 * | SERVICE | name of the service that an ad-hoc workload serves (`tulle run --service`) |
 * | HTTP_PROXY_PORT | port of the `http_proxy` outbound listener on 127.0.0.1 |
 * | UPSTREAMS | list of { host, port, localPort }: localhost ports for clients that ignore proxy variables |
 * | ADMIN_ADDRESS | `127.0.0.1:15000` or `unix:/path`, for `tulle proxy-config` on the same host |
 * | SYSTEM_ROOTS | file of the authorities that the host trusts (default /etc/ssl/certs/ca-certificates.crt) |
 * | ON_DEMAND | `auto`, `on` or `off`: it can fetch virtual hosts when it first calls them; absent: it cannot |
 * | KEEP_STDOUT | `true`: its standard output is its application's, and an access log for `/dev/stdout` goes to standard error |
 * | ON_DEMAND_HOSTS | list of `http_proxy/<authority>`: what it called before it started |
 * | TAKE_OVER_EPOCH | how often a sidecar process has taken over from the one before; absent: never |
 * | BIND_ADDRESS | address that inbound listeners bind (default 127.0.0.1 in `tulle up`) |
 */

export interface MeshPort {
  readonly name: string
  readonly servicePort: number | undefined
  readonly appPort: number
  readonly meshPort: number
}

export interface Upstream {
  readonly host: string
  readonly port: number
  readonly localPort: number
}

export interface NodeMetadata {
  readonly namespace: string
  readonly workloadName: string
  readonly serviceAccount: string
  readonly labels: Readonly<Record<string, string>>
  readonly clusterId: string
  readonly meshId: string
  readonly network: string
  readonly autoRegisterGroup: string | undefined
  readonly meshPorts: readonly MeshPort[]
  readonly service: string | undefined
  readonly httpProxyPort: number | undefined
  readonly upstreams: readonly Upstream[]
  readonly adminAddress: string | undefined
  readonly bindAddress: string
}
