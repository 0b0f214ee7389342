/**
 * Spec of Istio's resource `ProxyConfig` (networking.istio.io/v1beta1): three settings of the sidecars of a namespace, of
 * the workloads that a selector selects, or, in the root namespace, of all.
 */
import type { ProxyConfig } from '../mesh/proxy-config.ts'
import type { Resource } from '../resource.ts'

export interface ProxyConfigSpec {
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> }
  readonly concurrency?: number
  readonly environmentVariables?: Readonly<Record<string, string>>
  readonly image?: { readonly imageType?: string }
}

export interface ProxyConfigOwner {
  readonly namespace: string
  readonly rootNamespace: string
  readonly labels: Readonly<Record<string, string>>
}

/** What resources say of one workload: of each level the first, of resources that are sorted oldest first. */
export interface ProxyConfigLevels {
  readonly root: ProxyConfig | undefined
  readonly namespace: ProxyConfig | undefined
  readonly workload: ProxyConfig | undefined
}

export function proxyConfigLevels(
  resources: readonly Resource<ProxyConfigSpec>[],
  { namespace, rootNamespace, labels }: ProxyConfigOwner,
): ProxyConfigLevels {
  const first = (where: string, fits: (spec: ProxyConfigSpec) => boolean) => {
    const found = resources.find(({ metadata, spec }) => metadata.namespace === where && fits(spec))
    return found && asProxyConfig(found.spec)
  }
  const isForAll = ({ selector }: ProxyConfigSpec): boolean => selector === undefined
  return {
    root: first(rootNamespace, isForAll),
    namespace: namespace === rootNamespace ? undefined : first(namespace, isForAll),
    workload: first(namespace, ({ selector }) => {
      const wanted = Object.entries(selector?.matchLabels ?? {})
      return wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value)
    }),
  }
}

function asProxyConfig({ concurrency, environmentVariables }: ProxyConfigSpec): ProxyConfig {
  return {
    ...(concurrency !== undefined && { concurrency }),
    ...(environmentVariables !== undefined && { proxyMetadata: environmentVariables }),
  }
}
