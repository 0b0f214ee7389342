/** What compiling depends on beyond a resource itself, as the bootstrap says it. */
import type { BootstrapConfig } from './bootstrap.ts'
import type { SecretSources } from './compile-scope.ts'

export function secretSources({ message, servers }: BootstrapConfig): SecretSources {
  const names = new Set(message.staticResources?.secrets.map(({ name }) => name))
  return { hasStatic: (name) => names.has(name), hasServer: (cluster) => servers.has(cluster) }
}
