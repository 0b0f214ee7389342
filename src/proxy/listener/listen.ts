/** Opens the socket of a listener: an address, or a descriptor that somebody else has bound. */
import { existsSync, linkSync, renameSync, rmSync } from 'node:fs'
import { isIPv6, type ListenOptions, type Server } from 'node:net'

import { MeshError } from '../../lib/mesh-error.ts'
import { addressText } from '../wire/connector.ts'
import type { WireAddress } from '../wire/wire.ts'

const backlog = 4096

/** Rejects with MESH_LISTEN_FAILED. */
export async function listen(
  server: Server,
  address: WireAddress,
  adopt: { readonly fd: number } | undefined,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const onError = (error: Error): void => {
      reject(
        new MeshError('MESH_LISTEN_FAILED', `listen on ${addressText(address)}`, {
          cause: error,
          remedy: 'free the port, or give the listener another one',
        }),
      )
    }
    server.once('error', onError)
    server.listen({ ...listenTarget(address, adopt), backlog }, () => {
      server.off('error', onError)
      resolve()
    })
  })
}

function listenTarget(
  address: WireAddress,
  adopt: { readonly fd: number } | undefined,
): { fd: number } | ListenOptions {
  if (adopt !== undefined) return { fd: adopt.fd }
  if (address.kind === 'unix') return { path: address.path }
  if (address.kind === 'internal') return { host: '127.0.0.1', port: 0 }
  // As Envoy without ipv4_compat: `::` is every address of IPv6, and none of IPv4.
  return { host: address.address, port: address.port, ipv6Only: isIPv6(address.address) }
}

/** Closes a server, and takes its path away: libuv does so only where it has bound it itself. */
export function closeServer(server: Pick<Server, 'close'>, address: WireAddress): void {
  server.close()
  if (address.kind === 'unix') rmSync(address.path, { force: true })
}

/**
 * Closes a server whose socket another process listens on by now. libuv unlinks the path of a Unix socket that it closes,
 * so that path is given back at once; the moment in between is some microseconds. A path that somebody has taken away
 * stays so.
 */
export function closeHandedOver(server: Pick<Server, 'close' | 'address'>): void {
  const path = server.address()
  if (typeof path !== 'string' || !existsSync(path)) {
    server.close()
    return
  }
  const kept = `${path}.kept`
  rmSync(kept, { force: true })
  linkSync(path, kept)
  server.close()
  // Of two names of one file this does nothing, and the second is left.
  renameSync(kept, path)
  rmSync(kept, { force: true })
}

/** Port 0 has become a real port. */
export function boundAddress(
  server: Pick<Server, 'address'>,
  configured: WireAddress,
): WireAddress {
  const bound = server.address()
  if (bound === null) return configured
  if (typeof bound === 'string') return { kind: 'unix', path: bound }
  return { kind: 'ip', address: bound.address, port: bound.port }
}
