/**
 * A second descriptor of an open socket, so that one thread can accept a connection and another one serve it: sockets
 * cannot be sent to a worker, but a descriptor is a number. `fcntl` is called through node:ffi.
 */
import type { Server, Socket } from 'node:net'

import { MeshError, describeError } from '../../lib/mesh-error.ts'

/** The new descriptor, closed when a program is executed; negative when there is none to be had. */
export type DuplicateDescriptor = (descriptor: number) => number

/** F_DUPFD_CLOEXEC: a child process must not hold the connection open. */
const duplicateCloseOnExec: Readonly<Partial<Record<NodeJS.Platform, number>>> = {
  linux: 1030,
  darwin: 67,
}

/** Rejects with MESH_NOT_IMPLEMENTED where Node or the platform cannot do it. */
export async function openDuplicate(): Promise<DuplicateDescriptor> {
  const command = duplicateCloseOnExec[process.platform]
  try {
    if (command === undefined) throw new Error(`the platform is ${process.platform}`)
    const { dlopen } = await import('node:ffi')
    const { functions } = dlopen(null, {
      fcntl: { return: 'int32', arguments: ['int32', 'int32', 'int32'] },
    })
    return (descriptor) => functions.fcntl(descriptor, command, 0)
  } catch (cause) {
    throw new MeshError(
      'MESH_NOT_IMPLEMENTED',
      `several threads need node:ffi, on Linux or macOS: ${describeError(cause)}`,
      { cause, remedy: 'use --concurrency 1, or the Node that the package installs' },
    )
  }
}

/** Of a connection or of a server that listens; undefined when it has none, because it is closed. */
export function descriptorOf(socket: Socket | Server): number | undefined {
  // Not documented, and there since Node 0.x: what wires on handles stand on too.
  const { _handle: handle } = socket as { readonly _handle?: { readonly fd?: number } | null }
  const descriptor = handle?.fd
  return descriptor === undefined || descriptor < 0 ? undefined : descriptor
}
