/**
 * Istio's standard metrics (`istio_requests_total` and its siblings), as our `istio.stats` filter is configured.
 *
 * Labels are put together once for each (endpoint, cluster, code, flags, protocol) and found again by the endpoint, and by
 * the request's authority where that names the service; a request then only adds to slots. Series are counted: past the ceiling, requests go to one series whose labels say
 * `overflow`, because two dozen labels times whatever clients send would eat the process (GHSA-42mr-jpwh-m9rv).
 */
import { type ConnectionSecurity, localPrincipal, peerPrincipal } from '../connection-security.ts'
import type { Cluster } from '../upstream/cluster.ts'
import type { Host } from '../upstream/host.ts'
import type { Counter, Histogram } from './cluster-stats.ts'
import {
  type IstioLabels,
  type Peer,
  destinationLabels,
  istioLabelNames,
  requestOnlyLabels,
  serviceLabels,
} from './istio-labels.ts'
import type { RequestObserver, RequestRecord, TcpObserver, TcpRecord } from './request-record.ts'
import type { StatLabels, StatScope, StatsRegistry } from './stats-registry.ts'

export interface IstioMetricsOptions {
  readonly registry: StatsRegistry
  readonly reporter: 'source' | 'destination'
  /** Constant labels of this sidecar's side, by name; names that are no label are an error of the caller. */
  readonly labels: IstioLabels
  /** Without the cluster's service, the request's authority names the destination; Istio's default. */
  readonly hostHeaderFallback?: boolean
  /** Ceiling of label sets. */
  readonly seriesMax?: number
}

export interface IstioMetrics {
  readonly http: RequestObserver
  readonly tcp: TcpObserver
  close(): void
}

const seriesMaxDefault = 4096
/**
 * Ceilings of what is remembered for an endpoint: an upstream may answer with any status that it likes, and a client may ask
 * for any authority. What is not remembered is put together for each request.
 */
const entriesMax = 64
const authoritiesMax = 64

export function createIstioMetrics(options: IstioMetricsOptions): IstioMetrics {
  const series = new SeriesTable(options)
  return {
    http: { onEnd: (record) => countRequest(series.forRequest(record), record) },
    tcp: {
      onOpen: (record) => series.forTcp(record).opened.add(1),
      onProgress: (record) => countBytes(series.forTcp(record), record),
      onEnd: (record) => {
        const found = series.forTcp(record)
        found.closed.add(1)
        countBytes(found, record)
      },
    },
    close: () => series.close(),
  }
}

interface RequestSeries {
  readonly requests: Counter
  readonly duration: Histogram
  readonly requestBytes: Histogram
  readonly responseBytes: Histogram
  /** Of gRPC only, as in Istio. */
  readonly messages: { readonly requests: Counter; readonly responses: Counter } | undefined
}

interface TcpSeries {
  readonly opened: Counter
  readonly closed: Counter
  readonly sent: Counter
  readonly received: Counter
}

function countRequest(series: RequestSeries, record: RequestRecord): void {
  series.requests.add(1)
  series.duration.record(record.durationMs)
  series.requestBytes.record(record.wireBytesReceived)
  series.responseBytes.record(record.wireBytesSent)
  if (series.messages === undefined) return
  series.messages.requests.add(record.messages?.received ?? 0)
  series.messages.responses.add(record.messages?.sent ?? 0)
}

function countBytes(series: TcpSeries, record: TcpRecord): void {
  series.sent.add(record.newBytesSent)
  series.received.add(record.newBytesReceived)
}

/** What, beside the endpoint, makes two requests count in different series. */
interface RequestEntry {
  readonly cluster: Cluster | undefined
  readonly status: number
  readonly flags: string
  readonly grpcStatus: number | undefined
  readonly isGrpc: boolean
  /** What TLS says of both ends; part of the labels. */
  readonly principals: string
  readonly series: RequestSeries
}

interface TcpEntry {
  readonly cluster: Cluster | undefined
  readonly flags: string
  readonly principals: string
  readonly series: TcpSeries
}

class SeriesTable {
  readonly #options: IstioMetricsOptions
  readonly #scope: StatScope
  readonly #overflowed: Counter
  readonly #seriesMax: number
  /** By endpoint, for requests whose labels the client cannot choose; goes with the endpoint. */
  readonly #byHost = new WeakMap<Host, RequestEntry[]>()
  /** The same, and by what the client asks for, where that names the service. */
  readonly #byAuthority = new WeakMap<object, Map<string, RequestEntry[]>>()
  readonly #noHost = {}
  readonly #tcpByHost = new WeakMap<Host, TcpEntry[]>()
  readonly #requests = new Map<string, RequestSeries>()
  readonly #connections = new Map<string, TcpSeries>()

  constructor(options: IstioMetricsOptions) {
    this.#options = options
    this.#seriesMax = options.seriesMax ?? seriesMaxDefault
    this.#scope = options.registry.scope({ path: 'istiocustom', metric: '', labels: [] })
    this.#overflowed = this.#scope.counter('istio_metrics_overflow_total')
  }

  forRequest(record: RequestRecord): RequestSeries {
    const entries = this.#entriesFor(record)
    const principals = this.#principalsKey(record)
    for (const entry of entries) {
      if (isSameRequest(entry, record, principals)) return entry.series
    }
    const { cluster, status, flags, isGrpc, grpcStatus } = record
    const series = this.#find(this.#requestLabels(record))
    // Each request that overflows counts as one.
    const isRemembered = entries.length < entriesMax && series !== this.#requests.get('overflow')
    if (isRemembered) {
      entries.push({ cluster, status, flags, isGrpc, grpcStatus, principals, series })
    }
    return series
  }

  #entriesFor(record: RequestRecord): RequestEntry[] {
    const { host, cluster, clusterName, routeName, request } = record
    if (host === undefined || cluster === undefined || cluster.service.host === '') {
      const isNamed = this.#options.hostHeaderFallback ?? true
      const name = `${isNamed ? request.authority : ''} ${clusterName} ${routeName}`
      return this.#entriesBy(host ?? this.#noHost, name)
    }
    let entries = this.#byHost.get(host)
    if (entries === undefined) this.#byHost.set(host, (entries = []))
    return entries
  }

  #entriesBy(owner: object, name: string): RequestEntry[] {
    let byName = this.#byAuthority.get(owner)
    if (byName === undefined) this.#byAuthority.set(owner, (byName = new Map()))
    const known = byName.get(name)
    if (known !== undefined) return known
    const entries: RequestEntry[] = []
    if (byName.size < authoritiesMax) byName.set(name, entries)
    return entries
  }

  forTcp(record: TcpRecord): TcpSeries {
    const { host, cluster, flags } = record
    if (host === undefined) return this.#findTcp(this.#tcpLabels(record))
    let entries = this.#tcpByHost.get(host)
    if (entries === undefined) this.#tcpByHost.set(host, (entries = []))
    const principals = this.#principalsKey(record)
    const known = entries.find(
      (entry) =>
        entry.cluster === cluster && entry.flags === flags && entry.principals === principals,
    )
    if (known !== undefined) return known.series
    const series = this.#findTcp(this.#tcpLabels(record))
    if (entries.length < entriesMax) entries.push({ cluster, flags, principals, series })
    return series
  }

  close(): void {
    this.#scope.close()
  }

  #requestLabels(record: RequestRecord): StatLabels {
    const peer: Peer = { ...peerOf(record), authority: record.request.authority }
    return this.#labelsOf(peer, {
      ...this.#securityLabels(record),
      request_protocol: record.isGrpc ? 'grpc' : 'http',
      response_code: String(record.status),
      grpc_response_status: record.isGrpc ? String(record.grpcStatus ?? '') : '',
      response_flags: record.flags,
    })
  }

  #tcpLabels(record: TcpRecord): StatLabels {
    const peer: Peer = { ...peerOf(record), authority: '' }
    const labels = this.#labelsOf(peer, {
      ...this.#securityLabels(record),
      request_protocol: 'tcp',
      response_flags: record.flags,
    })
    return labels.filter(([name]) => !(requestOnlyLabels as ReadonlySet<string>).has(name))
  }

  #labelsOf(peer: Peer, measured: IstioLabels): StatLabels {
    const { reporter, labels, hostHeaderFallback } = this.#options
    const isSource = reporter === 'source'
    const known: IstioLabels = {
      ...(isSource && destinationLabels(peer.host)),
      ...serviceLabels(peer, hostHeaderFallback ?? true),
      ...labels,
      ...measured,
      reporter,
    }
    return istioLabelNames.map((name) => [name, known[name] ?? 'unknown'])
  }

  /** Only the side that accepts a connection says how it is secured; Istio's clients say `unknown`. */
  #securityLabels(record: RequestRecord | TcpRecord): IstioLabels {
    const isSource = this.#options.reporter === 'source'
    const security = isSource ? record.upstreamSecurity : record.downstreamSecurity
    const peer = peerPrincipal(security)
    const local = localPrincipal(security)
    return {
      ...principalLabels(isSource ? local : peer, isSource ? peer : local),
      connection_security_policy: policyOf(isSource, security),
    }
  }

  #principalsKey(record: RequestRecord | TcpRecord): string {
    const isSource = this.#options.reporter === 'source'
    const security = isSource ? record.upstreamSecurity : record.downstreamSecurity
    return security === undefined
      ? ''
      : `${peerPrincipal(security) ?? ''} ${localPrincipal(security) ?? ''}`
  }

  #find(labels: StatLabels): RequestSeries {
    const key = labels.map(([, value]) => value).join('\u0000')
    return this.#requests.get(key) ?? this.#add(this.#requests, { key, labels }, requestSeries)
  }

  #findTcp(labels: StatLabels): TcpSeries {
    const key = labels.map(([, value]) => value).join('\u0000')
    return this.#connections.get(key) ?? this.#add(this.#connections, { key, labels }, tcpSeries)
  }

  #add<S>(
    map: Map<string, S>,
    wanted: { readonly key: string; readonly labels: StatLabels },
    make: (scope: StatScope, labels: StatLabels) => S,
  ): S {
    if (this.#requests.size + this.#connections.size < this.#seriesMax) {
      const made = make(this.#scope, wanted.labels)
      map.set(wanted.key, made)
      return made
    }
    this.#overflowed.add(1)
    const overflow = map.get('overflow')
    if (overflow !== undefined) return overflow
    const labels = wanted.labels.map(
      ([name, value]) => [name, name === 'reporter' ? value : 'overflow'] as const,
    )
    const made = make(this.#scope, labels)
    map.set('overflow', made)
    return made
  }
}

function isSameRequest(entry: RequestEntry, record: RequestRecord, principals: string): boolean {
  return (
    entry.status === record.status &&
    entry.cluster === record.cluster &&
    entry.flags === record.flags &&
    entry.isGrpc === record.isGrpc &&
    entry.grpcStatus === record.grpcStatus &&
    entry.principals === principals
  )
}

/** Istio's word: both ends have shown a certificate. */
function policyOf(isSource: boolean, security: ConnectionSecurity | undefined): string {
  if (isSource) return 'unknown'
  return security?.peer === undefined ? 'none' : 'mutual_tls'
}

function principalLabels(source: string | undefined, destination: string | undefined): IstioLabels {
  return {
    ...(source !== undefined && { source_principal: source }),
    ...(destination !== undefined && { destination_principal: destination }),
  }
}

function peerOf(record: RequestRecord | TcpRecord): Omit<Peer, 'authority'> {
  const { host, cluster, clusterName } = record
  return { host, cluster, clusterName, routeName: 'routeName' in record ? record.routeName : '' }
}

function requestSeries(scope: StatScope, labels: StatLabels): RequestSeries {
  return {
    requests: scope.counter(...named('istio_requests_total', labels)),
    duration: scope.histogram(...named('istio_request_duration_milliseconds', labels)),
    requestBytes: scope.histogram(...named('istio_request_bytes', labels)),
    responseBytes: scope.histogram(...named('istio_response_bytes', labels)),
    messages: isGrpc(labels) ? messageCounters(scope, labels) : undefined,
  }
}

function isGrpc(labels: StatLabels): boolean {
  return labels.some(([name, value]) => name === 'request_protocol' && value === 'grpc')
}

function messageCounters(scope: StatScope, labels: StatLabels) {
  return {
    requests: scope.counter(...named('istio_request_messages_total', labels)),
    responses: scope.counter(...named('istio_response_messages_total', labels)),
  }
}

function tcpSeries(scope: StatScope, labels: StatLabels): TcpSeries {
  return {
    opened: scope.counter(...named('istio_tcp_connections_opened_total', labels)),
    closed: scope.counter(...named('istio_tcp_connections_closed_total', labels)),
    sent: scope.counter(...named('istio_tcp_sent_bytes_total', labels)),
    received: scope.counter(...named('istio_tcp_received_bytes_total', labels)),
  }
}

/** The dotted name that Istio's proxy shows in /stats, and the metric with its labels. */
function named(
  metric: string,
  labels: StatLabels,
): [name: string, naming: { metric: string; labels: StatLabels }] {
  const parts = labels.map(([name, value]) => `${name}.=.${value}`)
  return [`${metric};.;${parts.join(';.;')}`, { metric, labels }]
}
