/**
 * Names to addresses, by the operating system's resolver (getaddrinfo: /etc/hosts, nsswitch, search domains), as an
 * argument so that tests decide what a name means and when it changes.
 */
import { lookup } from 'node:dns'

import type { DnsConfig } from '../config/cluster-config.ts'

export type Resolution =
  | { readonly ok: true; readonly addresses: readonly string[] }
  | { readonly ok: false; readonly message: string }

/** `done` is called once, never before the call returned. */
export type Resolve = (
  name: string,
  family: DnsConfig['family'],
  done: (result: Resolution) => void,
) => void

export const systemResolve: Resolve = (name, family, done) => {
  if (family === 'v4-only') return lookUp(name, 4, done)
  if (family === 'v6-only') return lookUp(name, 6, done)
  if (family === 'all') return lookUp(name, 0, done)
  // Envoy AUTO asks for IPv6 first and takes IPv4 when there is none; V4_PREFERRED the other way round.
  const [first, second] = family === 'auto' ? ([6, 4] as const) : ([4, 6] as const)
  lookUp(name, first, (result) => {
    if (result.ok) done(result)
    else lookUp(name, second, done)
  })
}

function lookUp(name: string, family: 0 | 4 | 6, done: (result: Resolution) => void): void {
  lookup(name, { all: true, family }, (error, addresses) => {
    if (error !== null) done({ ok: false, message: error.message })
    else if (addresses.length === 0) done({ ok: false, message: `${name} has no address` })
    else done({ ok: true, addresses: addresses.map((entry) => entry.address) })
  })
}
