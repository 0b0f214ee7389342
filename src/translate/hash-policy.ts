/** What a cluster's consistent hashing is computed over: a property of its routes, in Envoy. */
import type { ConsistentHash, TrafficPolicy } from '../model/istio/destination-rule.ts'
import type { Destination } from '../model/istio/virtual-service.ts'
import { RouteAction_HashPolicy } from '../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import type { MergedRule } from './destination-rule-index.ts'
import { durationOfText } from './message.ts'
import { sourceHashPolicies } from './source-hash.ts'

/** Hashing that applies to a destination whose host is fully qualified. */
export type HashOf = (destination: Destination) => ConsistentHash | undefined

/** Most particular first: the subset's port, the subset, the rule's port, the rule. */
export function consistentHashOf(
  rule: MergedRule | undefined,
  destination: Pick<Destination, 'subset' | 'port'>,
): ConsistentHash | undefined {
  if (rule === undefined) return undefined
  const subset = rule.subsets.find(({ name }) => name === destination.subset)
  const port = destination.port?.number
  return hashOf(subset?.trafficPolicy, port) ?? hashOf(rule.trafficPolicy, port)
}

function hashOf(policy: TrafficPolicy | undefined, port: number | undefined) {
  const settings =
    port === undefined
      ? undefined
      : policy?.portLevelSettings?.find((own) => own.port?.number === port)
  return settings?.loadBalancer?.consistentHash ?? policy?.loadBalancer?.consistentHash
}

export function hashPoliciesOf(hash: ConsistentHash | undefined): RouteAction_HashPolicy[] {
  const policySpecifier = specifierOf(hash)
  if (policySpecifier !== undefined) {
    return [RouteAction_HashPolicy.fromPartial({ policySpecifier })]
  }
  return hash?.useSourceIp === true ? sourceHashPolicies() : []
}

function specifierOf(hash: ConsistentHash | undefined): RouteAction_HashPolicy['policySpecifier'] {
  if (hash?.httpHeaderName !== undefined) {
    return {
      $case: 'header',
      value: { headerName: hash.httpHeaderName, regexRewrite: undefined },
    }
  }
  if (hash?.httpCookie !== undefined) {
    const { name, path, ttl, attributes } = hash.httpCookie
    const value = {
      name,
      path: path ?? '',
      ttl: durationOfText(ttl),
      attributes: (attributes ?? []).map((attribute) => ({
        name: attribute.name,
        value: attribute.value ?? '',
      })),
    }
    return { $case: 'cookie', value }
  }
  // Istio's order; sourceHashPolicies has what follows.
  if (hash?.useSourceIp === true) return undefined
  if (hash?.httpQueryParameterName !== undefined) {
    return { $case: 'queryParameter', value: { name: hash.httpQueryParameterName } }
  }
  return undefined
}
