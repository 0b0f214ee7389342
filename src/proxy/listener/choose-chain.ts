/**
 * Which filter chain a connection belongs to (Envoy `FilterChainMatch`).
 *
 * Dimension after dimension, in Envoy's order, the chains that fit most closely stay and the others are out for good: there
 * is no way back, so a chain that loses by its server name is not tried again when its rival loses by the protocol. Without
 * a chain left the listener's default chain takes the connection.
 */
import type { Inspection } from '../tls/inspect-socket.ts'
import type { AddressRange, ChainMatch, FilterChain } from './listener-config.ts'

export interface ConnectionFacts extends Inspection {
  readonly localAddress: string
  readonly localPort: number
  readonly remoteAddress: string
  readonly remotePort: number
  /** Of the connection itself, whoever it is for; absent: `remoteAddress`. */
  readonly directRemoteAddress?: string
}

type Matching = Pick<FilterChain, 'match'>

export function chooseChain<Chain extends Matching>(
  chains: readonly Chain[],
  facts: ConnectionFacts,
): Chain | undefined {
  let left = chains
  for (const fit of dimensions) {
    if (left.length === 0) return undefined
    left = closest(left, (match) => fit(match, facts))
  }
  return left[0]
}

function closest<Chain extends Matching>(
  chains: readonly Chain[],
  fit: (match: ChainMatch) => number,
): readonly Chain[] {
  let best = unfit
  let kept: Chain[] = []
  for (const chain of chains) {
    const value = chain.match === undefined ? 0 : fit(chain.match)
    if (value < best || value === unfit) continue
    if (value > best) kept = []
    best = value
    kept.push(chain)
  }
  return kept
}

/** Below everything that fits. A match that says nothing fits with 0. */
const unfit = -1

type Dimension = (match: ChainMatch, facts: ConnectionFacts) => number

const dimensions: readonly Dimension[] = [
  ({ destinationPort }, { localPort }) => exact(destinationPort, localPort),
  ({ destinationRanges }, { localAddress }) => inRange(destinationRanges, localAddress),
  ({ serverNames }, { serverName }) => serverNameFit(serverNames, serverName ?? ''),
  ({ transportProtocol }, facts) => exact(transportProtocol || undefined, facts.transportProtocol),
  ({ applicationProtocols }, facts) => protocolFit(applicationProtocols, facts),
  ({ directSourceRanges }, { remoteAddress, directRemoteAddress = remoteAddress }) =>
    inRange(directSourceRanges, directRemoteAddress),
  ({ sourceType }, facts) =>
    exact(sourceType === 'any' ? undefined : sourceType, isLocal(facts) ? 'local' : 'external'),
  ({ sourceRanges }, { remoteAddress }) => inRange(sourceRanges, remoteAddress),
  ({ sourcePorts }, { remotePort }) =>
    sourcePorts.length === 0 ? 0 : exact(sourcePorts.includes(remotePort), true),
]

function exact<T>(wanted: T | undefined, got: T): number {
  if (wanted === undefined) return 0
  return wanted === got ? 1 : unfit
}

/** The longest prefix wins. */
function inRange(ranges: readonly AddressRange[], address: string): number {
  if (ranges.length === 0) return 0
  let best = unfit
  for (const range of ranges) {
    if (range.contains(address)) best = Math.max(best, range.prefixLength + 1)
  }
  return best
}

/** The whole name before any wildcard, and the longest wildcard before a shorter one. */
function serverNameFit(names: readonly string[], serverName: string): number {
  if (names.length === 0) return 0
  let best = unfit
  for (const name of names) {
    if (name === serverName) return Number.MAX_SAFE_INTEGER
    const isWildcard = name.startsWith('.')
    if (isWildcard && serverName.length > name.length && serverName.endsWith(name)) {
      best = Math.max(best, name.length)
    }
  }
  return best
}

/** The client's first protocol that any chain names wins. */
function protocolFit(wanted: readonly string[], facts: ConnectionFacts): number {
  if (wanted.length === 0) return 0
  const offered = facts.applicationProtocols
  const index = offered.findIndex((protocol) => wanted.includes(protocol))
  return index === -1 ? unfit : offered.length - index
}

/** Envoy's SAME_IP_OR_LOOPBACK. */
function isLocal({ localAddress, remoteAddress }: ConnectionFacts): boolean {
  if (localAddress === remoteAddress) return true
  return /^(?:::ffff:)?127\.|^::1$/.test(remoteAddress)
}
