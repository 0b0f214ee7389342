/**
 * Whether a connection to an address of this host ends at a listener: what a proxy that resolves names must know, or one
 * request for the proxy's own address goes round in it until there are no sockets left. (Istio's own listener for it is
 * `virtualOutbound-blackhole`.)
 */
import { networkInterfaces } from 'node:os'

import type { WireAddress } from '../wire/wire.ts'

type IpAddress = Extract<WireAddress, { kind: 'ip' }>

/** `ownAddresses`: of the host's interfaces, asked for listeners on all of them only. */
export function reaches(
  target: WireAddress,
  listening: WireAddress,
  ownAddresses: () => readonly string[] = interfaceAddresses,
): boolean {
  if (target.kind !== 'ip' || listening.kind !== 'ip') return false
  if (target.port !== listening.port) return false
  const [to, at] = [plainIp(target), plainIp(listening)]
  if (isUnspecified(at)) return isLoopback(to) || isUnspecified(to) || ownAddresses().includes(to)
  // A connection to 0.0.0.0 goes to 127.0.0.1, and one to :: to ::1.
  return to === at || (isUnspecified(to) && isLoopback(at))
}

/** Without the brackets of IPv6, and IPv4 out of its IPv6 form. */
function plainIp({ address }: IpAddress): string {
  return /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? canonicalIpv6(address)
}

function canonicalIpv6(address: string): string {
  const url = `http://[${address}]/`
  const text = URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : address
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text) ?? []
  if (high === undefined || low === undefined) return text
  return [high, low]
    .flatMap((part) => [parseInt(part, 16) >> 8, parseInt(part, 16) & 255])
    .join('.')
}

function isUnspecified(ip: string): boolean {
  return ip === '0.0.0.0' || ip === '::'
}

function isLoopback(ip: string): boolean {
  return ip.startsWith('127.') || ip === '::1'
}

function interfaceAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap(
    (list) => list?.map(({ address }) => address) ?? [],
  )
}
