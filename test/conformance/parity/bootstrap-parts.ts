/** Parts of bootstraps that are written as objects: listeners, connection managers, clusters, logs. */
import type { ScenePorts } from './scene.ts'

const ext = 'type.googleapis.com/envoy.extensions'

export function typed(name: string, type: string, fields: object = {}): object {
  return { name, typed_config: { '@type': `${ext}.${type}`, ...fields } }
}

export const router = typed('envoy.filters.http.router', 'filters.http.router.v3.Router')

/** The log by which the entries of cases are found: JSON with `case`. */
export function jsonLog(path: string, fields: object): object {
  return typed('file', 'access_loggers.file.v3.FileAccessLog', {
    path,
    log_format: { json_format: { case: '%REQ(X-CASE)%', ...fields } },
  })
}

export function httpManager(fields: object): object {
  return typed('hcm', 'filters.network.http_connection_manager.v3.HttpConnectionManager', {
    delayed_close_timeout: '0.02s',
    http_filters: [router],
    ...fields,
  })
}

export function listener(name: string, filters: readonly object[], more: object = {}): object {
  return { name, address: socketAddress(0), filter_chains: [{ filters }], ...more }
}

export function cluster(name: string, ports: readonly number[], more: object = {}): object {
  const endpoints = ports.map((port) => ({ endpoint: { address: socketAddress(port) } }))
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: endpoints }] },
    ...more,
  }
}

/** The clusters that most scenes have. */
export function commonClusters({ a, b, refused }: ScenePorts): readonly object[] {
  return [
    cluster('a', [a]),
    cluster('b', [b]),
    cluster('refused', [refused]),
    cluster('empty', []),
    cluster('overflow', [a], { circuit_breakers: { thresholds: [{ max_requests: 0 }] } }),
  ]
}

export function bootstrapText(parts: {
  readonly listeners: readonly object[]
  readonly clusters: readonly object[]
}): string {
  return JSON.stringify({
    node: { id: 'parity', cluster: 'parity' },
    admin: { address: socketAddress(0) },
    static_resources: parts,
  })
}

export function socketAddress(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } }
}
