/**
 * What two sidecars say to each other when one takes over from the other, in this order:
 *
 * | who | what | with |
 * | --- | --- | --- |
 * | new | `Hello` | – |
 * | old | `HandedSocket`, one for each that it listens on | its descriptor |
 * | old | `HandedAll`; or `Refused` | – |
 * | new | `ready`, once it serves on all of them | – |
 * | old | `released`, once it has closed its own and drains | – |
 * | old | what it has counted since, each second and at its end: lines of `PassedStat`s (parent-stats.ts) | – |
 *
 * Until `ready` the old one goes on as if nothing had happened; an end of the connection before leaves it so. From then on
 * it accepts nothing more.
 */
import { addressText } from '../wire/connector.ts'
import type { WireAddress } from '../wire/wire.ts'

/** Changes when the two could misunderstand each other. */
export const protocolVersion = 1

export interface Hello {
  readonly protocol: number
  readonly pid: number
  readonly version: string
}

export interface HandedSocket {
  readonly kind: 'socket'
  /** `socketKey` of the listener; `adminKey` of the admin interface. */
  readonly key: string
}

export interface HandedAll {
  readonly kind: 'all'
  readonly pid: number
  /** How often a process has taken over before. */
  readonly epoch: number
}

export interface Refused {
  readonly kind: 'refused'
  readonly reason: string
}

export type FromOld = HandedSocket | HandedAll | Refused

export const ready = 'ready\n'
export const released = 'released\n'

/** `address` as it is configured. */
export function adminKey(address: WireAddress): string {
  return `admin ${addressText(address)}`
}
