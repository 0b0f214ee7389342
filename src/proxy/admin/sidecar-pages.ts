/** All pages of a sidecar's admin interface, put together. */
import type { Clock } from '../../lib/clock.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import type { DataPlane } from '../config/data-plane.ts'
import type { StatsView } from '../telemetry/stats-registry.ts'
import type { AdminPage } from './admin-page.ts'
import { certificatePage } from './certificate-page.ts'
import { clusterPage } from './cluster-page.ts'
import { type ConfigDumpSource, configDumpPage } from './config-dump-page.ts'
import { helpPages } from './help-page.ts'
import { listenerPage } from './listener-page.ts'
import { type ServerPageSource, serverPages } from './server-page.ts'
import { statsPages } from './stats-page.ts'

export interface SidecarPageSource
  extends Omit<ServerPageSource, 'node'>, Omit<ConfigDumpSource, 'warming'> {
  readonly clock: Clock
  readonly plane: DataPlane
  readonly stats: StatsView
}

export function sidecarPages(source: SidecarPageSource): readonly AdminPage[] {
  const { plane, stats, store, bootstrap } = source
  const node = { id: bootstrap.node?.id ?? '', cluster: bootstrap.node?.cluster ?? '' }
  const dynamicNames = (): ReadonlySet<string> => {
    const clusters = store.list(typeUrls.cluster)
    return new Set(clusters.flatMap(({ name, origin }) => (origin === 'dynamic' ? [name] : [])))
  }
  const pages: AdminPage[] = [
    clusterPage({ clusters: async () => (await plane.status()).clusters, dynamicNames }),
    listenerPage(async () => (await plane.status()).listeners),
    configDumpPage({
      ...source,
      async warming() {
        const { warmingClusters, warmingListeners } = await plane.status()
        return { clusters: warmingClusters, listeners: warmingListeners }
      },
    }),
    certificatePage({ clock: source.clock, certificates: () => plane.certificates() }),
    ...statsPages(stats, () => plane.reopenLogs()),
    ...serverPages({ ...source, node }),
  ]
  pages.push(...helpPages(() => pages))
  return pages
}
