/**
 * Changes of the root with care for what runs: `use` waits until everybody who is connected has learnt of the new
 * root, `drop` until nobody who is connected has a certificate below the old one. When that takes too long they are
 * refused, with the names of those who are not ready; who insists may force them.
 *
 * Workloads ask for a new certificate within seconds of being told of new roots, and come back with it: so the
 * certificate of each connection says what its workload has learnt.
 */
import type { CertificateAuthority, RootStatus } from '../../identity/certificate-authority.ts'
import { fingerprintOf } from '../../identity/certificate.ts'
import { clockSkewMs } from '../../identity/trust-bundle.ts'
import type { Clock } from '../../lib/clock.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import type { StreamStatus } from '../../xds/server/stream-status.ts'

export interface RootChangeOptions {
  readonly authority: CertificateAuthority
  readonly streams: () => readonly StreamStatus[]
  readonly clock: Clock
}

/** Workloads renew within two seconds of being told; a busy host takes longer. */
const waitMsMax = 15_000
const lookEveryMs = 100
/** A certificate's time is in whole seconds. */
const roundingMs = 1_000
const namedMax = 5

/** Rejections: MESH_IDENTITY_REFUSED. */
export async function useRoot(
  options: RootChangeOptions,
  id: string,
  isForced: boolean,
): Promise<RootStatus> {
  const { authority } = options
  const root = findRoot(authority, id)
  if (!isForced) {
    const isLate = (stream: StreamStatus) => issuedAtMs(stream) < root.addedAtMs - roundingMs
    const late = await waitFor(options, isLate)
    if (late.length > 0) throw refused(`may not believe root ${root.id} yet`, late, 'use')
  }
  return authority.useRoot(root.id)
}

/** Rejections: MESH_IDENTITY_REFUSED. */
export async function dropRoot(
  options: RootChangeOptions,
  id: string,
  isForced: boolean,
): Promise<RootStatus> {
  const { authority } = options
  const root = findRoot(authority, id)
  if (!isForced && !root.signs) {
    const isBelow = ({ identity }: StreamStatus) =>
      identity !== undefined && fingerprintOf(identity.root) === root.fingerprint
    const below = await waitFor(options, isBelow)
    if (below.length > 0) throw refused(`has a certificate below root ${root.id}`, below, 'drop')
  }
  authority.dropRoot(root.id)
  return root
}

/** Names of those of whom it is still true after some time. */
async function waitFor(
  { streams, clock }: RootChangeOptions,
  isMeant: (stream: StreamStatus) => boolean,
): Promise<readonly string[]> {
  const untilMs = clock.monotonicMs() + waitMsMax
  for (;;) {
    const meant = streams().filter(isMeant)
    if (meant.length === 0 || clock.monotonicMs() > untilMs) {
      return [...new Set(meant.map(({ node }) => node.id))]
    }
    await new Promise<void>((resolve) => clock.setTimer(lookEveryMs, resolve))
  }
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

function refused(what: string, names: readonly string[], verb: string): MeshError {
  const shown = names.slice(0, namedMax).join(', ')
  const others = names.length > namedMax ? ` and ${names.length - namedMax} others` : ''
  return new MeshError('MESH_IDENTITY_REFUSED', `not ready: ${shown}${others} ${what}`, {
    remedy: `see why in the log of its agent; tulle ca root ${verb} --force cuts it off`,
  })
}
