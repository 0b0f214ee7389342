/**
 * Our `istio.stats` filter: which labels of Istio's standard metrics are constant in this sidecar.
 *
 * Sent as TypedStruct, marked optional where Envoy knows the mark, so that a real Envoy passes over it.
 */
import { TypedStruct } from '../xds/proto/generated/udpa/type/v1/typed_struct.ts'
import type { Client } from './client.ts'
import { packed } from './message.ts'

export type Reporter = 'source' | 'destination'

const name = 'istio.stats'

export function httpStatsFilter(reporter: Reporter, client: Client) {
  return { name, isOptional: true, configType: configOf(reporter, client) }
}

export function tcpStatsFilter(reporter: Reporter, client: Client) {
  return { name, configType: configOf(reporter, client) }
}

function configOf(reporter: Reporter, client: Client) {
  return {
    $case: 'typedConfig' as const,
    value: packed(TypedStruct, 'udpa.type.v1.TypedStruct', {
      typeUrl: 'type.googleapis.com/stats.PluginConfig',
      value: { reporter, labels: labelsOf(reporter, client) },
    }),
  }
}

function labelsOf(side: Reporter, client: Client): Record<string, string> {
  const { labels } = client
  const known: Record<string, string> = {
    workload: client.workload,
    workload_namespace: client.namespace,
    canonical_service: canonicalName(client),
    canonical_revision: canonicalRevision(client),
    app: labels['app'] ?? '',
    version: labels['version'] ?? '',
    cluster: client.cluster,
  }
  return Object.fromEntries(
    Object.entries(known).map(([label, value]) => [`${side}_${label}`, value || 'unknown']),
  )
}

/** Istio's order of labels. */
function canonicalName({ labels, workload }: Client): string {
  return (
    labels['service.istio.io/canonical-name'] ??
    labels['app.kubernetes.io/name'] ??
    labels['app'] ??
    workload
  )
}

function canonicalRevision({ labels }: Client): string {
  return (
    labels['service.istio.io/canonical-revision'] ??
    labels['app.kubernetes.io/version'] ??
    labels['version'] ??
    'latest'
  )
}
