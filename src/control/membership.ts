/**
 * A sidecar's stream is its membership: it joins with its first request, leaves some time after its end, and
 * reports its application's health in between.
 *
 * Clients that are no sidecars (gRPC applications without a proxy, tools) are served and join nothing.
 */
import type { Log } from '../lib/log.ts'
import { MeshError } from '../lib/mesh-error.ts'
import type { Registry } from '../registry/registry.ts'
import type { Membership } from '../registry/workload-registry.ts'
import type { AdsHooks } from '../xds/ads-server.ts'

export function createMembershipHooks(registry: Registry, log: Log): AdsHooks {
  const memberships = new Map<number, Membership>()
  return {
    onOpen(stream, node) {
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
      if (hasTakenOver) log.warn({ node: node.id }, 'a second stream of this id takes over')
      log.info({ node: node.id, workload: workload.name }, 'workload joined')
    },
    onClose(stream) {
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
