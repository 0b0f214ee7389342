/**
 * Changes of the root with care for what runs: `use` waits until everybody who is connected has learnt of the new
 * root, `drop` until nobody who is connected has a certificate below the old one. Who insists may force it, and is
 * told whom it cuts off.
 *
 * Workloads ask for a new certificate within seconds of being told of new roots, and come back with it: so the
 * certificate of each connection says what its workload has learnt.
 */
import type { CertificateAuthority, RootStatus } from '../../identity/certificate-authority.ts'
import { fingerprintOf } from '../../identity/certificate.ts'
import { clockSkewMs } from '../../identity/trust-bundle.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import type { StreamStatus } from '../../xds/server/stream-status.ts'

export interface RootChangeOptions {
  readonly authority: CertificateAuthority
  readonly streams: () => readonly StreamStatus[]
}

/** A certificate's time is in whole seconds. */
const roundingMs = 1_000
const namedMax = 5

export function useRoot(
  { authority, streams }: RootChangeOptions,
  id: string,
  isForced: boolean,
): RootStatus {
  const root = findRoot(authority, id)
  if (!isForced) {
    const late = namesOf(streams(), (stream) => issuedAtMs(stream) < root.addedAtMs - roundingMs)
    if (late.length > 0) {
      throw refused(`${listed(late)} may not believe root ${root.id} yet`, 'use')
    }
  }
  return authority.useRoot(root.id)
}

export function dropRoot(
  { authority, streams }: RootChangeOptions,
  id: string,
  isForced: boolean,
): RootStatus {
  const root = findRoot(authority, id)
  if (!isForced && !root.signs) {
    const holders = namesOf(
      streams(),
      ({ identity }) => identity !== undefined && fingerprintOf(identity.root) === root.fingerprint,
    )
    if (holders.length > 0) {
      throw refused(`${listed(holders)} still has a certificate below root ${root.id}`, 'drop')
    }
  }
  authority.dropRoot(root.id)
  return root
}

/** When the certificate of a connection was made: its beginning is set back for clocks that are late. */
function issuedAtMs({ identity }: StreamStatus): number {
  // Who has no certificate has nothing to lose.
  if (identity === undefined) return Infinity
  return identity.certificate.validFromDate.getTime() + clockSkewMs
}

function findRoot(authority: CertificateAuthority, id: string): RootStatus {
  const found = authority.roots().filter((root) => id !== '' && root.id.startsWith(id))
  const [root] = found
  if (root !== undefined && found.length === 1) return root
  const what = found.length === 0 ? 'no root' : 'more than one root'
  throw new MeshError('MESH_IDENTITY_REFUSED', `${what} has an id that begins with "${id}"`, {
    remedy: 'see tulle ca root list',
  })
}

function namesOf(
  streams: readonly StreamStatus[],
  isMeant: (stream: StreamStatus) => boolean,
): readonly string[] {
  return [...new Set(streams.filter(isMeant).map(({ node }) => node.id))]
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, namedMax).join(', ')
  return names.length > namedMax ? `${shown} and ${names.length - namedMax} others` : shown
}

function refused(message: string, verb: string): MeshError {
  return new MeshError('MESH_IDENTITY_REFUSED', message, {
    remedy: `wait some seconds and try again; tulle ca root ${verb} --force cuts them off`,
  })
}
