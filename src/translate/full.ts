/** A whole translation for one client, from nothing: what the incremental driver must agree with. */
import { runToEnd } from '../lib/steps.ts'
import type { ResourceView, StreamNode } from '../xds/resource-set.ts'
import { clientOf, withRegisteredLabels } from './client.ts'
import { everythingDirty } from './dirty.ts'
import type { TranslationInput } from './input.ts'
import { translateOutbound } from './outbound.ts'
import { scopeOf } from './scope.ts'
import { SharedParts } from './shared-parts.ts'
import { WorkloadView } from './view.ts'
import { translateWorkload } from './workload.ts'
import { buildWorld } from './world.ts'

export function translateAll(input: TranslationInput, node: StreamNode): ResourceView {
  const world = buildWorld(input)
  const client = withRegisteredLabels(clientOf(node), input.registry)
  const scope = scopeOf(client, world)
  const run = translateOutbound({
    world,
    scope,
    dirty: everythingDirty(),
    shared: new SharedParts(),
    previous: undefined,
  })
  const outbound = runToEnd(run)
  const own = translateWorkload({ world, scope, client, tunnels: outbound.tunnels })
  return new WorkloadView({ revision: '1', outbound, own, previous: undefined })
}
