/**
 * Names to addresses, by the operating system's resolver (getaddrinfo: /etc/hosts, nsswitch, search domains), as an
 * argument so that tests decide what a name means and when it changes.
 *
 * That resolver does not tell for how long an answer holds, so the DNS server is asked for the TTL beside it, by whoever
 * wants to know. Where it does not know the name (a name of /etc/hosts, or one that a search domain completes), there is none.
 */
import { Resolver, lookup } from 'node:dns'

import type { DnsConfig } from '../config/cluster-config.ts'

export type Resolution =
  /** No address at all is an answer too: the name does not exist, or has none of the family. */
  | { readonly ok: true; readonly addresses: readonly string[] }
  | { readonly ok: false; readonly message: string }

export interface Resolve {
  /** `done` is called once, never before the call returned. */
  (name: string, family: DnsConfig['family'], done: (result: Resolution) => void): void
  /** For how long an answer holds; undefined: nobody says. Absent: nobody ever does. */
  readonly ttlOf?: (
    name: string,
    family: DnsConfig['family'],
    done: (ttlMs: number | undefined) => void,
  ) => void
}

/** A server that does not answer costs nobody more than this, for nobody waits for it. */
const ttlOptions = { timeout: 2_000, tries: 1 }

export const systemResolve: Resolve = Object.assign(
  (name: string, family: DnsConfig['family'], done: (result: Resolution) => void): void => {
    if (family === 'v4-only') return lookUp(name, 4, done)
    if (family === 'v6-only') return lookUp(name, 6, done)
    if (family === 'all') return lookUp(name, 0, done)
    // Envoy AUTO asks for IPv6 first and takes IPv4 when there is none; V4_PREFERRED the other way round.
    const [first, second] = family === 'auto' ? ([6, 4] as const) : ([4, 6] as const)
    lookUp(name, first, (result) => {
      if (result.ok && result.addresses.length > 0) done(result)
      else lookUp(name, second, done)
    })
  },
  { ttlOf: createTtlOf(() => new Resolver(ttlOptions)) },
)

function lookUp(name: string, family: 0 | 4 | 6, done: (result: Resolution) => void): void {
  lookup(name, { all: true, family }, (error, addresses) => {
    if (error === null) done({ ok: true, addresses: addresses.map((entry) => entry.address) })
    // getaddrinfo's NONAME and NODATA, which Envoy takes for an answer without addresses.
    else if (error.code === 'ENOTFOUND') done({ ok: true, addresses: [] })
    else done({ ok: false, message: error.message })
  })
}

type OnRecords = (error: Error | null, records: readonly { readonly ttl: number }[]) => void

/** What is asked of a DNS server. */
export interface RecordSource {
  resolve4(name: string, options: { readonly ttl: true }, onRecords: OnRecords): void
  resolve6(name: string, options: { readonly ttl: true }, onRecords: OnRecords): void
}

/** The shortest TTL of the records that stand for the answer: those of the family that comes first, or of both. */
export function createTtlOf(open: () => RecordSource): NonNullable<Resolve['ttlOf']> {
  return (name, family, done) => {
    const source = open()
    const ask = (version: 4 | 6, then: (ttlMs: number | undefined) => void): void => {
      const onRecords: OnRecords = (error, records) => {
        if (error !== null || records.length === 0) then(undefined)
        else then(Math.min(...records.map(({ ttl }) => ttl)) * 1000)
      }
      if (version === 6) source.resolve6(name, { ttl: true }, onRecords)
      else source.resolve4(name, { ttl: true }, onRecords)
    }
    if (family === 'v4-only') return ask(4, done)
    if (family === 'v6-only') return ask(6, done)
    const [first, second] = family === 'auto' ? ([6, 4] as const) : ([4, 6] as const)
    ask(first, (ttlMs) => {
      if (family !== 'all' && ttlMs !== undefined) done(ttlMs)
      else ask(second, (otherMs) => done(shorter(ttlMs, otherMs)))
    })
  }
}

function shorter(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return Math.min(one, other)
}
