/**
 * Whether an application can be dialled past its sidecar, so that what its sidecar refuses is not refused there. In
 * capture mode `env`, the only one so far, it always can, from its own host; worse when it listens beyond loopback.
 */
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'

import type { WorkloadObject } from '../../api/view.ts'

export type Exposure =
  /** It serves nothing. */
  | 'none'
  /** From the same host. */
  | 'host'
  /** From the network: it accepts on an address of the host that is not loopback. */
  | 'network'

const timeoutMs = 300

/** By `namespace/name`. Applications of other hosts count as `host`: from here nobody can tell more. */
export async function readExposures(
  workloads: readonly WorkloadObject[],
): Promise<ReadonlyMap<string, Exposure>> {
  const ours = ownAddresses()
  const entries = workloads.map(async ({ metadata, status }) => {
    const key = `${metadata.namespace ?? ''}/${metadata.name}`
    if (status.ports.length === 0) return [key, 'none'] as const
    const isHere = status.address.startsWith('127.') || ours.includes(status.address)
    const dials = isHere
      ? ours.flatMap((address) => status.ports.map(({ appPort }) => accepts(address, appPort)))
      : []
    return [key, (await Promise.all(dials)).includes(true) ? 'network' : 'host'] as const
  })
  return new Map(await Promise.all(entries))
}

function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4')
    .map(({ address }) => address)
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const finish = (result: boolean) => {
      socket.destroy()
      resolve(result)
    }
    socket.setTimeout(timeoutMs, () => finish(false))
    socket.once('connect', () => finish(true))
    socket.once('error', () => finish(false))
  })
}
