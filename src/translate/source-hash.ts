/**
 * Who calls, for destinations that hash by source (`useSourceIp`, a Service's `sessionAffinity: ClientIP`).
 *
 * Istio's sidecars see the address of the pod that calls, for they take its connections where they pass. Behind an explicit
 * proxy every application calls from loopback, so that all sidecars would hash alike and send everything to one host. So a
 * sidecar's listeners say who its workload is (`set_filter_state`, constant text): by the IP that it joined with, or by its
 * instance's name where that is a loopback address and tells nobody apart. Envoy hashes either as it hashes an address, so
 * that a workload with an IP of its own gets the host that Istio would give it.
 *
 * Where nothing says it, the address of whoever is connected counts.
 */
import { isIP } from 'node:net'

import type { LoadBalancerSettings } from '../model/istio/destination-rule.ts'
import type { Service } from '../registry/service.ts'
import type { Filter } from '../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import { Filter as FilterCodec } from '../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import { RouteAction_HashPolicy } from '../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { Config as StateConfig } from '../xds/proto/generated/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state.ts'
import type { Client } from './client.ts'
import type { DestinationRules } from './destination-rule-index.ts'
import { packed } from './message.ts'
import { blocksOf } from './traffic-policy.ts'

const key = 'tulle.source'
const stateType = 'envoy.extensions.filters.network.set_filter_state.v3.Config'

/** Before anything else of a filter chain; none where no destination hashes by source. */
export function sourceFilters({ hashedAs }: Pick<Client, 'hashedAs'>): Filter[] {
  if (hashedAs === undefined) return []
  const value = packed(StateConfig, stateType, {
    onNewConnection: [
      {
        key: { $case: 'objectKey', value: key },
        factoryKey: 'envoy.hashable_string',
        value: {
          $case: 'formatString',
          value: {
            format: {
              $case: 'textFormatSource',
              value: { specifier: { $case: 'inlineString', value: hashedAs } },
            },
          },
        },
        readOnly: true,
      },
    ],
  })
  return [
    FilterCodec.fromPartial({
      name: 'envoy.filters.network.set_filter_state',
      configType: { $case: 'typedConfig', value },
    }),
  ]
}

/** Of a route: who the workload is, else whose connection it is. */
export function sourceHashPolicies(): RouteAction_HashPolicy[] {
  return [
    RouteAction_HashPolicy.fromPartial({
      policySpecifier: { $case: 'filterState', value: { key } },
      terminal: true,
    }),
    RouteAction_HashPolicy.fromPartial({
      policySpecifier: { $case: 'connectionProperties', value: { sourceIp: true } },
    }),
  ]
}

/** Of connections, which may have one policy only. */
export function sourceHashOfBytes({ hashedAs }: Pick<Client, 'hashedAs'>) {
  return hashedAs === undefined
    ? { policySpecifier: { $case: 'sourceIp' as const, value: {} } }
    : { policySpecifier: { $case: 'filterState' as const, value: { key } } }
}

/** The client as its listeners are made for, where some destination hashes by source. */
export function namedAsSource(client: Client, isHashed: boolean): Client {
  if (!isHashed) return client
  const { address, instance, namespace } = client
  const isTelling = isIP(address) !== 0 && !/^(?:127\.|::1$|0\.0\.0\.0$|::$)/.test(address)
  return { ...client, hashedAs: isTelling ? address : `${instance}.${namespace}` }
}

export function rulesHashSource(rules: DestinationRules): boolean {
  return rules.all
    .flatMap(blocksOf)
    .some(({ loadBalancer }) => loadBalancer?.consistentHash?.useSourceIp === true)
}

/** A service's own wish counts where no rule says how to balance. */
export function withAffinity(
  settings: LoadBalancerSettings | undefined,
  service: Pick<Service, 'hasClientAffinity'> | undefined,
): LoadBalancerSettings | undefined {
  if (service?.hasClientAffinity !== true || isAlgorithm(settings)) return settings
  return { ...settings, consistentHash: { useSourceIp: true } }
}

function isAlgorithm({ simple, consistentHash }: LoadBalancerSettings = {}): boolean {
  return consistentHash !== undefined || (simple !== undefined && simple !== 'UNSPECIFIED')
}
