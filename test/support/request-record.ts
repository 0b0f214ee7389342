/** Records of exchanges and connections that have ended, for tests of what is told about them. */
import { HeaderList } from '../../src/proxy/http/header-list.ts'
import type { RequestRecord, TcpRecord } from '../../src/proxy/telemetry/request-record.ts'
import type { Cluster } from '../../src/proxy/upstream/cluster.ts'

export function headerList(fields: Readonly<Record<string, string>> = {}): HeaderList {
  const list = new HeaderList()
  for (const [name, value] of Object.entries(fields)) list.append(name, value)
  return list
}

export function requestRecord(fields: Partial<RequestRecord> = {}): RequestRecord {
  return {
    startMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
    durationMs: 12.7,
    isBrokenOff: false,
    isUpgrade: false,
    upstreamServiceTimeMs: 11.9,
    request: {
      method: 'GET',
      path: '/rewritten?q=1',
      authority: 'my-go-service:8080',
      scheme: 'http',
      protocol: 'HTTP/1.1',
      headers: headerList({ 'user-agent': 'curl/8', 'x-request-id': 'id-1' }),
      bodyLength: 0,
      upgrade: undefined,
      wantsClose: false,
    },
    originalPath: '/asked?q=1',
    response: {
      status: 200,
      headers: headerList({ 'content-type': 'text/plain' }),
      bodyLength: 2,
      protocol: 'HTTP/1.1',
    },
    status: 200,
    flags: '-',
    details: 'via_upstream',
    failure: undefined,
    transportFailure: undefined,
    bytesReceived: 3,
    bytesSent: 2,
    wireBytesReceived: 103,
    wireBytesSent: 202,
    beginMs: 1000,
    requestEndMs: 1001,
    attemptStartMs: 1001,
    poolEndMs: 1002.25,
    upstreamStartMs: 1002.25,
    upstreamSentMs: 1003.5,
    upstreamHeadMs: 1012.9,
    upstreamEndMs: 1013.1,
    responseStartMs: 1012.9,
    attempts: 1,
    routeName: 'default',
    routeStats: undefined,
    virtualHost: 'my-go-service:8080',
    cluster: undefined,
    clusterName: 'outbound|8080||my-go-service.default.svc.cluster.local',
    host: undefined,
    hostReached: undefined,
    upstreamLocalAddress: '127.0.0.1:40001',
    upstreamRemoteAddress: '127.0.0.1:9001',
    upstreamProtocol: 'HTTP/1.1',
    upstreamWireBytesReceived: 180,
    upstreamWireBytesSent: 120,
    downstreamLocalAddress: '127.0.0.1:15001',
    downstreamRemoteAddress: '127.0.0.1:50001',
    downstreamDirectLocalAddress: '127.0.0.1:15001',
    downstreamDirectRemoteAddress: '127.0.0.1:50001',
    requestedServerName: undefined,
    filterChainName: undefined,
    connectionId: 7,
    isGrpc: false,
    grpcStatus: undefined,
    responseTrailers: undefined,
    ...fields,
  }
}

export function tcpRecord(fields: Partial<TcpRecord> = {}): TcpRecord {
  return {
    startMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
    durationMs: 1000,
    bytesReceived: 10,
    bytesSent: 20,
    newBytesReceived: 10,
    newBytesSent: 20,
    flags: '-',
    details: '',
    cluster: undefined,
    clusterName: 'outbound|5432||postgres.default.svc.cluster.local',
    host: undefined,
    downstreamLocalAddress: '127.0.0.1:5432',
    downstreamRemoteAddress: '127.0.0.1:50002',
    connectionId: 8,
    ...fields,
  }
}

/** Only what telemetry reads of a cluster. */
export function namedCluster(host: string, name: string, namespace: string): Cluster {
  const part: Pick<Cluster, 'name' | 'service'> = {
    name: `outbound|8080||${host}`,
    service: { host, name, namespace },
  }
  return part as Cluster // telemetry reads nothing else
}
