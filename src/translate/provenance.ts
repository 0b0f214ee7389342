/**
 * What a message was made from, in its metadata: Istio's path of the resource, and our path of the field in it, which
 * no proxy reads. The file and the line are not sent: a comment that moves lines must not change what a thousand
 * sidecars have.
 */
import type { MergedRule } from './destination-rule-index.ts'

/** Istio's path of the resource that something was made from. */
export function configPath(
  kind: 'destination-rule' | 'virtual-service',
  metadata: { readonly namespace: string; readonly name: string },
): string {
  return `/apis/networking.istio.io/v1/namespaces/${metadata.namespace}/${kind}/${metadata.name}`
}

/** The first of the DestinationRules that were merged, as Istio names it in a cluster's metadata. */
export function ruleConfig(rule: Pick<MergedRule, 'parts'> | undefined): { config?: string } {
  const first = rule?.parts[0]
  return first === undefined ? {} : { config: configPath('destination-rule', first.metadata) }
}
