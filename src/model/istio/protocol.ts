/** Names of port protocols, in any case, and what can be told apart on them: hosts by authority or by SNI. */
import { clip } from '../schema/shape.ts'
import type { Check } from '../schema/shape.ts'

export const protocolNames = 'HTTP HTTP2 HTTPS GRPC GRPC-WEB MONGO TCP TLS UDP REDIS MYSQL'.split(
  ' ',
)

const httpProtocols = new Set(['HTTP', 'HTTP2', 'GRPC', 'GRPC-WEB'])
const tlsProtocols = new Set(['HTTPS', 'TLS'])
const tcpProtocols = new Set(['TCP', 'HTTPS', 'TLS', 'MONGO', 'REDIS', 'MYSQL'])

export function isHttpProtocol(protocol: string | undefined): boolean {
  return httpProtocols.has((protocol ?? '').toUpperCase())
}

export function isTlsProtocol(protocol: string | undefined): boolean {
  return tlsProtocols.has((protocol ?? '').toUpperCase())
}

export function isTcpProtocol(protocol: string | undefined): boolean {
  return tcpProtocols.has((protocol ?? '').toUpperCase())
}

/** Empty means that the protocol is detected. */
export const checkProtocol: Check<string> = (value) =>
  value === '' || protocolNames.includes(value.toUpperCase())
    ? undefined
    : {
        message: `must be one of ${protocolNames.join(', ')}, got "${clip(value)}"`,
        remedy: 'Use one of these protocols.',
      }
