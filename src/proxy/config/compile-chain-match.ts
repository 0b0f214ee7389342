/** FilterChainMatch → ChainMatch, with Envoy's rules about what chains may stand beside each other. */
import { isIPv6 } from 'node:net'

import type { CidrRange } from '../../xds/proto/generated/envoy/config/core/v3/address.ts'
import {
  type FilterChainMatch,
  FilterChainMatch_ConnectionSourceType as SourceType,
} from '../../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import type { AddressRange, ChainMatch } from '../listener/listener-config.ts'
import { compileCidrRanges } from './cidr.ts'
import { type FieldReport, at, refuse, showValue } from './field-rule.ts'

export const anyConnection: ChainMatch = {
  destinationPort: undefined,
  destinationRanges: [],
  serverNames: [],
  transportProtocol: '',
  applicationProtocols: [],
  directSourceRanges: [],
  sourceType: 'any',
  sourceRanges: [],
  sourcePorts: [],
}

const sourceTypes: Readonly<Record<number, ChainMatch['sourceType']>> = {
  [SourceType.SAME_IP_OR_LOOPBACK]: 'local',
  [SourceType.EXTERNAL]: 'external',
}

export function compileChainMatch(
  match: FilterChainMatch | undefined,
  report: FieldReport,
): ChainMatch {
  if (match === undefined) return anyConnection
  const port = match.destinationPort
  if (port !== undefined && (port < 1 || port > 65_535)) {
    refuse(at(report, 'destination_port'), `value must be inside range [1, 65535], got ${port}`)
  }
  const ranges = (list: readonly CidrRange[], field: string): readonly AddressRange[] =>
    list.map((range, index) => compileRange(range, at(report, field, index)))
  return {
    destinationPort: port,
    destinationRanges: ranges(match.prefixRanges, 'prefix_ranges'),
    serverNames: match.serverNames.map((name, index) =>
      compileServerName(name, at(report, 'server_names', index)),
    ),
    transportProtocol: match.transportProtocol,
    applicationProtocols: match.applicationProtocols,
    directSourceRanges: ranges(match.directSourcePrefixRanges, 'direct_source_prefix_ranges'),
    sourceType: sourceTypes[match.sourceType] ?? 'any',
    sourceRanges: ranges(match.sourcePrefixRanges, 'source_prefix_ranges'),
    sourcePorts: match.sourcePorts,
  }
}

function compileRange(range: CidrRange, report: FieldReport): AddressRange {
  const contains = compileCidrRanges([range], report)
  return { prefixLength: range.prefixLen ?? 0, contains: (address) => contains(bare(address)) }
}

/** An IPv4 client of a listener on `::` has a mapped address. */
function bare(address: string): string {
  return isIPv6(address) && address.startsWith('::ffff:') ? address.slice(7) : address
}

/** `*.example.com` → `.example.com`; `*` says nothing, and Envoy refuses other places for the star. */
function compileServerName(name: string, report: FieldReport): string {
  const lower = name.toLowerCase()
  if (lower.startsWith('*.')) return lower.slice(1)
  if (lower.includes('*')) {
    refuse(report, `partial wildcards are not supported in server_names, got ${showValue(name)}`)
  }
  return lower
}

/** Equal for matches that say the same. */
export function matchKey(match: FilterChainMatch | undefined): string {
  if (match === undefined) return ''
  const said = Object.entries(match)
    .filter(([, value]) => value !== undefined && value !== '' && value !== 0)
    .filter(([, value]) => !Array.isArray(value) || value.length > 0)
    .map(([field, value]) => [field, Array.isArray(value) ? value.map(textOf).sort() : value])
  return said.length === 0 ? '' : JSON.stringify(said)
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value.toLowerCase() : JSON.stringify(value)
}
