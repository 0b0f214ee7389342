/** The scene of what is logged of TCP connections that go well, and of those that do not. */
import { bootstrapText, cluster, commonClusters, listener, typed } from './bootstrap-parts.ts'
import type { ParityCase } from './case-table.ts'
import type { Scene } from './scene.ts'

const operators = [
  'RESPONSE_FLAGS',
  'RESPONSE_FLAGS_LONG',
  'RESPONSE_CODE',
  'RESPONSE_CODE_DETAILS',
  'CONNECTION_TERMINATION_DETAILS',
  'UPSTREAM_TRANSPORT_FAILURE_REASON',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_HOST',
  'UPSTREAM_REMOTE_ADDRESS',
  'UPSTREAM_REQUEST_ATTEMPT_COUNT',
  'UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'UPSTREAM_PROTOCOL',
  'PROTOCOL',
  'ROUTE_NAME',
  'BYTES_RECEIVED',
  'BYTES_SENT',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'REQUESTED_SERVER_NAME',
  'GRPC_STATUS',
  'REQ(X)',
  'ACCESS_LOG_TYPE',
  'FILTER_CHAIN_NAME',
  'DOWNSTREAM_WIRE_BYTES_RECEIVED',
  'DOWNSTREAM_WIRE_BYTES_SENT',
  'UPSTREAM_WIRE_BYTES_RECEIVED',
  'UPSTREAM_WIRE_BYTES_SENT',
  'UPSTREAM_HOSTS_ATTEMPTED',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT',
]

/** By the name of the listener. */
const proxies: Readonly<Record<string, object>> = {
  served: { cluster: 'a' },
  refused: { cluster: 'refused' },
  'refused-twice': { cluster: 'refused', max_connect_attempts: 2 },
  empty: { cluster: 'empty' },
  nowhere: { cluster: 'nowhere' },
  full: { cluster: 'full' },
  idle: { cluster: 'a', idle_timeout: '0.8s' },
  proxied: { cluster: 'a' },
  old: { cluster: 'a', max_downstream_connection_duration: '0.8s' },
  weighted: {
    weighted_clusters: {
      clusters: [
        { name: 'a', weight: 1 },
        { name: 'a', weight: 1 },
      ],
    },
  },
}

const raw = 'GET / HTTP/1.1\r\nhost: any\r\n\r\n'

const cases: readonly ParityCase[] = [
  ...Object.keys(proxies).map((name) => ({
    name,
    listener: name,
    raw: name === 'proxied' ? `PROXY TCP4 1.2.3.4 5.6.7.8 11 22\r\n${raw}` : raw,
  })),
  {
    name: 'an upstream that ends',
    listener: 'served',
    raw: 'GET /?do=close HTTP/1.1\r\nhost: any\r\n\r\n',
  },
  {
    name: 'an upstream that resets',
    listener: 'served',
    raw: 'GET /?do=reset HTTP/1.1\r\nhost: any\r\n\r\n',
  },
  {
    name: 'nobody says anything',
    listener: 'idle',
    raw: 'GET /?do=slow&n=3000 HTTP/1.1\r\nhost: any\r\n\r\n',
  },
  {
    name: 'an end of its time',
    listener: 'old',
    raw: 'GET /?do=slow&n=3000 HTTP/1.1\r\nhost: any\r\n\r\n',
  },
]

export const tcpLogScene: Scene = {
  title: 'logs of TCP connections in Envoy and in Tulle',
  listeners: Object.keys(proxies).length,
  cases,
  isInOrder: true,
  isLogged: (log) => tcpLines(log).length >= cases.length,
  bootstrap: (ports) =>
    bootstrapText({
      listeners: Object.entries(proxies).map(([name, fields]) =>
        chainedListener(name, [
          typed('tcp', 'filters.network.tcp_proxy.v3.TcpProxy', {
            stat_prefix: name,
            access_log: [
              typed('file', 'access_loggers.file.v3.FileAccessLog', {
                path: ports.log,
                log_format: {
                  json_format: Object.fromEntries([
                    ['listener', name],
                    ...operators.map((one) => [one, `%${one}%`]),
                  ]),
                },
              }),
            ],
            ...fields,
          }),
        ]),
      ),
      clusters: [
        ...commonClusters(ports),
        cluster('full', [ports.a], {
          circuit_breakers: { thresholds: [{ max_connections: 0 }] },
        }),
      ],
    }),
}

/** Its chain has a name, but for one. */
function chainedListener(name: string, filters: readonly object[]): object {
  const named = name === 'served' ? { filters } : { name: `chain of ${name}`, filters }
  const reads = typed('proxy', 'filters.listener.proxy_protocol.v3.ProxyProtocol', {})
  return listener(name, [], {
    filter_chains: [named],
    ...(name === 'proxied' ? { listener_filters: [reads] } : {}),
  })
}

/** Sorted: connections end when they like. */
export function tcpLines(log: string): readonly string[] {
  return log
    .split('\n')
    .filter((line) => line !== '')
    .sort()
}
