/** The operators of format strings that tell an address: whole, without its port, masked, or the port alone. */
import { isIP } from 'node:net'

import { type Compiled, compiled, refused } from '../config/compiled.ts'
import type { LogOperator, LogSource } from './log-source.ts'

type AddressOf = (source: LogSource) => string | undefined

const addresses: Readonly<Record<string, AddressOf>> = {
  UPSTREAM_REMOTE: ({ upstreamRemoteAddress }) => upstreamRemoteAddress,
  UPSTREAM_LOCAL: ({ upstreamLocalAddress }) => upstreamLocalAddress,
  DOWNSTREAM_LOCAL: ({ downstreamLocalAddress }) => downstreamLocalAddress,
  DOWNSTREAM_DIRECT_LOCAL: (source) =>
    source.downstreamDirectLocalAddress ?? source.downstreamLocalAddress,
  DOWNSTREAM_REMOTE: ({ downstreamRemoteAddress }) => downstreamRemoteAddress,
  DOWNSTREAM_DIRECT_REMOTE: (source) =>
    textOf(source.downstreamDirectRemoteAddress) ?? source.downstreamRemoteAddress,
}

const form = /^(.+?)_(ADDRESS|ADDRESS_WITHOUT_PORT|ADDRESS_ENDPOINT_ID|PORT)$/

/** Undefined for a name that is none of them. */
export function addressOperator(
  name: string,
  argument: string | undefined,
): Compiled<LogOperator> | undefined {
  const [, side = '', what = ''] = form.exec(name) ?? []
  const of = addresses[side]
  if (of === undefined) return undefined
  if (what === 'ADDRESS_WITHOUT_PORT' && argument !== undefined && argument !== '') {
    return maskedOperator(name, argument, of)
  }
  if (argument !== undefined && argument !== '')
    return refused(`%${name}%: takes no argument, got (${argument})`)
  return compiled(readers[what]?.(of) ?? of)
}

export const addressOperatorNames = Object.keys(addresses).flatMap((side) =>
  ['ADDRESS', 'ADDRESS_WITHOUT_PORT', 'ADDRESS_ENDPOINT_ID', 'PORT'].map(
    (what) => `${side}_${what}`,
  ),
)

const readers: Readonly<Record<string, (of: AddressOf) => LogOperator>> = {
  ADDRESS: (of) => (source) => textOf(of(source)),
  ADDRESS_WITHOUT_PORT: (of) => (source) => withoutPort(of(source)),
  ADDRESS_ENDPOINT_ID: (of) => (source) => endpointId(of(source)),
  PORT: (of) => (source) => portOf(of(source)),
}

/** `…_WITHOUT_PORT(16)`: the first bits, in CIDR notation. */
function maskedOperator(name: string, argument: string, of: AddressOf): Compiled<LogOperator> {
  const bits = Number(argument)
  if (!/^\d{1,3}$/.test(argument) || bits > 128) {
    return refused(`%${name}(${argument})%: a number of bits from 0 to 128 expected`)
  }
  return compiled((source) => {
    const address = withoutPort(of(source))
    return address === undefined ? undefined : masked(address, bits)
  })
}

function masked(address: string, bits: number): string | undefined {
  const family = isIP(address)
  if (family === 4) {
    const own = Math.min(bits, 32)
    const octets = address.split('.').map((octet, index) => Number(octet) & octetMask(own, index))
    return `${octets.join('.')}/${own}`
  }
  return family === 6 ? `${maskIpv6(address, bits)}/${bits}` : undefined
}

function octetMask(bits: number, index: number): number {
  const own = Math.min(8, Math.max(0, bits - 8 * index))
  return (0xff << (8 - own)) & 0xff
}

function maskIpv6(address: string, bits: number): string {
  const [head = '', tail] = address.split('::')
  const groupsOf = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const first = groupsOf(head)
  const last = groupsOf(tail ?? '')
  const missing = Array.from({ length: 8 - first.length - last.length }, () => '0')
  const groups = [...first, ...missing, ...last].map((group, index) => {
    const own = Math.min(16, Math.max(0, bits - 16 * index))
    return Number.parseInt(group, 16) & ((0xffff << (16 - own)) & 0xffff)
  })
  const text = groups.map((group) => group.toString(16)).join(':')
  // RFC 5952, as Envoy prints addresses.
  return URL.parse(`http://[${text}]`)?.hostname.slice(1, -1) ?? text
}

/** `127.0.0.1:80` → `127.0.0.1`; `[::1]:80` → `::1`, as Envoy prints it; a path stays. */
export function withoutPort(address: string | undefined): string | undefined {
  if (address === undefined || address === '') return undefined
  if (address.startsWith('[')) return address.slice(1, address.indexOf(']'))
  const colon = address.lastIndexOf(':')
  return colon < 0 || address.startsWith('/') ? address : address.slice(0, colon)
}

function portOf(address: string | undefined): number | undefined {
  const digits = address === undefined ? null : /:(\d+)$/.exec(address)
  return digits === null ? undefined : Number(digits[1])
}

/** `envoy://listener/id`: other addresses have an empty one. */
function endpointId(address: string | undefined): string | undefined {
  return textOf(address) && (/^envoy:\/\/[^/]*\/(.*)$/.exec(address ?? '')?.[1] ?? '')
}

function textOf(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}
