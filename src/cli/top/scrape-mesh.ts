/** Asks every sidecar of the mesh at once for its counters and its view of the endpoints. */
import { askAdmin } from '../../agent/admin-client.ts'
import type { ObjectList } from '../../api/object.ts'
import { viewPath, type ProxyObject, type WorkloadObject } from '../../api/view.ts'
import type { ApiClient } from '../api-client.ts'
import { parsePrometheusText, type Sample } from '../prometheus-text.ts'
import { parseHosts, type HostState } from '../proxy-config/config-dump.ts'
import { scrapeOf, trafficMetrics, type Scrape } from './traffic.ts'

export interface MeshScrape {
  readonly traffic: Scrape
  readonly hosts: readonly HostState[]
  readonly workloads: readonly WorkloadObject[]
  /** Sidecars that did not answer. */
  readonly silent: readonly string[]
}

export async function scrapeMesh(api: ApiClient): Promise<MeshScrape> {
  const [proxies, workloads] = await Promise.all([
    api.get<ObjectList<ProxyObject>>(viewPath('proxies')),
    api.get<ObjectList<WorkloadObject>>(viewPath('workloads')),
  ])
  const samples = new Map<string, readonly Sample[]>()
  const hosts: HostState[] = []
  const silent: string[] = []
  const scrape = async ({ status, metadata }: ProxyObject) => {
    const { adminAddress: address } = status
    if (address === undefined) return
    try {
      const stats = await askAdmin({ address, path: '/stats/prometheus?usedonly' })
      samples.set(status.nodeId, parsePrometheusText(stats.text, trafficMetrics))
      const clusters = await askAdmin({ address, path: '/clusters?format=json' })
      hosts.push(...parseHosts(JSON.parse(clusters.text)))
    } catch {
      // It may be ending or starting; the others are still worth showing.
      silent.push(metadata.name)
    }
  }
  await Promise.all(proxies.items.map(scrape))
  return { traffic: scrapeOf(samples), hosts, workloads: workloads.items, silent }
}
