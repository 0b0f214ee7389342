/** What compiling depends on beyond a resource itself, as the bootstrap says it. */
import type { BootstrapConfig } from './bootstrap.ts'
import type { SecretSources } from './compile-scope.ts'

export function secretSources({ message, servers }: BootstrapConfig): SecretSources {
  const names = new Set(message.staticResources?.secrets.map(({ name }) => name))
  return { hasStatic: (name) => names.has(name), hasServer: (cluster) => servers.has(cluster) }
}

/** Istio's bootstrap calls the agent's secrets so; the cluster speaks HTTP/2, and only we dial it. */
const sdsCluster = 'sds-grpc'

/** Those that the main thread dials itself. */
export function controlPlaneClusters({ ads, servers }: BootstrapConfig): ReadonlySet<string> {
  const names = servers.has(sdsCluster) ? [sdsCluster] : []
  return new Set(ads === undefined ? names : [...names, ads.clusterName])
}
