/**
 * Protocol selection as Istio does it: a Service's `appProtocol`, else the beginning of the port's name up to
 * its first hyphen; a ServiceEntry's `protocol`. What says nothing is `auto`: detected by the sidecar.
 */
import type { PortProtocol } from './service.ts'

/** Ports whose servers speak first or are no HTTP: detection would break them, so they are TCP unless named. */
const undetectablePorts = new Set([25, 53, 3306, 27017])

const protocols: Readonly<Record<string, PortProtocol>> = {
  http: 'http',
  http_proxy: 'http',
  http2: 'http2',
  grpc: 'grpc',
  'grpc-web': 'grpc-web',
  https: 'https',
  tls: 'tls',
  tcp: 'tcp',
  udp: 'udp',
  mongo: 'mongo',
  // Istio has filters for these two that are off by default, and treats them as TCP then.
  redis: 'tcp',
  mysql: 'tcp',
  hbone: 'tcp',
}

const kubernetesAppProtocols: Readonly<Record<string, PortProtocol>> = {
  'kubernetes.io/h2c': 'http2',
  'kubernetes.io/ws': 'http',
  'kubernetes.io/wss': 'https',
}

export interface PortDescription {
  readonly port: number
  readonly name: string
  /** `TCP`, `UDP`, `SCTP`; absent = TCP. */
  readonly transport?: string
  readonly appProtocol?: string
}

/** Of a Service's port, or one of the mesh file. */
export function selectProtocol({
  port,
  name,
  transport,
  appProtocol,
}: PortDescription): PortProtocol {
  if (transport === 'UDP') return 'udp'
  const known = appProtocol === undefined ? undefined : kubernetesAppProtocols[appProtocol]
  if (known !== undefined) return known
  const named = namedProtocol(appProtocol ?? name)
  // A TCP port that calls itself `udp` is TCP.
  if (named !== undefined) return named === 'udp' ? 'tcp' : named
  return undetectablePorts.has(port) ? 'tcp' : 'auto'
}

function namedProtocol(name: string): PortProtocol | undefined {
  const lower = name.toLowerCase()
  if (lower.startsWith('grpc-web')) return 'grpc-web'
  const hyphen = lower.indexOf('-')
  return parseProtocol(hyphen < 0 ? lower : lower.slice(0, hyphen))
}

/** Of a ServiceEntry's port, in any case; undefined when the word is none of Istio's. */
export function parseProtocol(protocol: string): PortProtocol | undefined {
  const lower = protocol.toLowerCase()
  return Object.hasOwn(protocols, lower) ? protocols[lower] : undefined
}
