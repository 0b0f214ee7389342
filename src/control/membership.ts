/**
 * A sidecar's stream is its membership: it joins with its first request, leaves some time after its end, and
 * reports its application's health in between.
 *
 * What it says of itself is held against its certificate (identity/node-claims.ts). A stream on the plaintext port
 * has none; that port is open on loopback only, and only when somebody asked for it.
 *
 * Clients that are no sidecars (gRPC applications without a proxy, tools) are served and join nothing.
 */
import type { Log } from '../lib/log.ts'
import { MeshError } from '../lib/mesh-error.ts'
import type { Registry } from '../registry/registry.ts'
import type { Membership } from '../registry/workload-registry.ts'
import type { AdsHooks } from '../xds/ads-server.ts'
import type { StreamNode } from '../xds/resource-set.ts'
import type { AdsStream } from '../xds/server/ads-stream.ts'
import { checkClaims, type ClaimRefusal } from './identity/node-claims.ts'

export interface MembershipOptions {
  readonly registry: Registry
  /** The mesh's own trust domain and its former names. */
  readonly trustDomains: ReadonlySet<string>
  readonly onRefused: (reason: ClaimRefusal) => void
  readonly log: Log
}

export function createMembershipHooks(options: MembershipOptions): AdsHooks {
  const { registry, log } = options
  const memberships = new Map<number, Membership>()
  const holders = new Holders()
  return {
    onOpen(stream, said) {
      const node = checked(stream, said, { options, holders })
      if (!node.id.startsWith('sidecar~')) return
      const joined = registry.join(node)
      if (!joined.ok) {
        const reasons = joined.issues.map(({ path, message }) => `${path}: ${message}`)
        throw new MeshError(
          'MESH_CONFIG_REJECTED',
          `${node.id} may not join: ${reasons.join('; ')}`,
        )
      }
      const { hasTakenOver, workload } = joined.value
      memberships.set(stream.id, joined.value)
      if (hasTakenOver) noteTakeOver(node, log)
      log.info({ node: node.id, workload: workload.name }, 'workload joined')
    },
    onClose(stream) {
      holders.delete(stream.id)
      const membership = memberships.get(stream.id)
      if (membership === undefined) return
      memberships.delete(stream.id)
      registry.leave(membership)
    },
    onHealth(stream, report) {
      const membership = memberships.get(stream.id)
      if (membership !== undefined) {
        registry.reportHealth(membership, report.isHealthy, report.message)
      }
    },
  }
}

/** A process that takes over from its predecessor says so; anybody else is a second workload of the same name. */
function noteTakeOver({ id, metadata }: StreamNode, log: Log): void {
  const epoch = metadata['TAKE_OVER_EPOCH']
  if (typeof epoch === 'number') log.info({ node: id, epoch }, 'a new sidecar process takes over')
  else log.warn({ node: id }, 'a second stream of this id takes over')
}

/** Which identity holds which node id, as long as a stream of it is open. */
class Holders {
  readonly #byStream = new Map<number, string>()
  readonly #byNode = new Map<string, { readonly streams: Set<number>; readonly spiffeId: string }>()

  holderOf(nodeId: string): string | undefined {
    return this.#byNode.get(nodeId)?.spiffeId
  }

  add(stream: number, nodeId: string, spiffeId: string): void {
    this.#byStream.set(stream, nodeId)
    const held = this.#byNode.get(nodeId)
    if (held === undefined) this.#byNode.set(nodeId, { streams: new Set([stream]), spiffeId })
    else held.streams.add(stream)
  }

  delete(stream: number): void {
    const nodeId = this.#byStream.get(stream)
    if (nodeId === undefined) return
    this.#byStream.delete(stream)
    const held = this.#byNode.get(nodeId)
    held?.streams.delete(stream)
    if (held?.streams.size === 0) this.#byNode.delete(nodeId)
  }
}

interface Doorkeeping {
  readonly options: MembershipOptions
  readonly holders: Holders
}

/** The node with what its certificate says of it. */
function checked(
  stream: AdsStream,
  node: StreamNode,
  { options, holders }: Doorkeeping,
): StreamNode {
  const { verdict } = stream
  if (verdict?.ok !== true) return node
  const { registry, trustDomains, onRefused, log } = options
  const claimed = checkClaims(node, verdict, {
    trustDomains,
    holderOf: (id) => holders.holderOf(id),
    groupTerms: (namespace, group) => registry.templateOf(namespace, group),
    known: (id) => registry.snapshot.workloads.get(id),
  })
  if (claimed.ok) {
    holders.add(stream.id, node.id, verdict.spiffeId)
    return claimed.node
  }
  const { reason, detail } = claimed
  onRefused(reason)
  const { spiffeId } = verdict
  log.warn({ node: node.id, peer: stream.peer, spiffeId, reason, detail }, 'a node claims too much')
  throw new MeshError('MESH_IDENTITY_REFUSED', `${node.id} may not join: ${reason}: ${detail}`)
}
