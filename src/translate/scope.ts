/**
 * A scope class: all that can change the answer for a client, and never the client itself, so that a thousand
 * alike sidecars cost one. Labels count only as far as some selector in the configuration asks for them.
 */
import { isIP } from 'node:net'

import { withTopology } from '../registry/label.ts'
import type { ClientKind } from './ability.ts'
import type { Client } from './client.ts'
import type { DestinationRules } from './destination-rule-index.ts'
import { compareText, type MeshSettings } from './input.ts'
import { type ClientPlace, clusterLabel, labelsOf, preferenceLabels } from './locality.ts'
import {
  keyOfHeaders,
  proxyHeadersOf,
  sharedHeadersOf,
  type SharedHeaders,
} from './proxy-header.ts'
import type { ClientSidecar, Sidecars } from './sidecar-index.ts'
import { blocksOf } from './traffic-policy.ts'
import type { VirtualService, VirtualServices } from './virtual-service-index.ts'

type Labels = Readonly<Record<string, string>>

export interface Scope {
  readonly key: string
  readonly namespace: string
  readonly kind: ClientKind
  /** File of the authorities that the client's host trusts. */
  readonly systemRoots: string
  /** Of the addresses that names are resolved to. */
  readonly dnsFamily: DnsFamily
  /** Where its clients are, and the labels of theirs that rules order endpoints by. */
  readonly place: ClientPlace
  /** Which headers its clients add in routes and clusters. */
  readonly headers: SharedHeaders
  /** Keys of the selectors that the client's labels satisfy. */
  readonly satisfied: ReadonlySet<string>
  /** The Sidecar that speaks for the clients. */
  readonly sidecar: ClientSidecar | undefined
}

export type DnsFamily = 'v4' | 'v6'

/** Selectors that the configuration has, by key. */
export type Selectors = ReadonlyMap<string, Labels>

/** Stands for the name of the client's workload among its labels; no label can have it. */
export const workloadKey = 'workload name'

/** `others` are selectors of what is no resource. */
export function selectorsOf(
  services: VirtualServices,
  rules: DestinationRules,
  others: readonly Labels[],
): Selectors {
  const selectors = new Map<string, Labels>()
  const add = (labels: Labels | undefined) => {
    if (labels !== undefined) selectors.set(selectorKey(labels), labels)
  }
  for (const virtualService of services.all) sourcesOf(virtualService).forEach(add)
  for (const rule of rules.all) add(rule.selector)
  for (const labels of others) add(labels)
  return selectors
}

function sourcesOf({ routes, resource }: VirtualService): (Labels | undefined)[] {
  const { tcp = [], tls = [] } = resource.spec
  const blocks: readonly { readonly match?: readonly { readonly sourceLabels?: Labels }[] }[] = [
    ...routes.map(({ http }) => http),
    ...tcp,
    ...tls,
  ]
  return blocks.flatMap(({ match = [] }) => match.map(({ sourceLabels }) => sourceLabels))
}

/** Labels that some rule, the mesh or a service's own preference orders endpoints by; sorted. */
export function placeLabelsOf(
  rules: DestinationRules,
  mesh: Pick<MeshSettings, 'localityLb' | 'zoneAwareLb' | 'clusterLocal'>,
): readonly string[] {
  const labels = new Set([
    ...preferenceLabels,
    ...labelsOf(mesh.localityLb),
    ...labelsOf(mesh.zoneAwareLb),
  ])
  if (mesh.clusterLocal.length > 0) labels.add(clusterLabel)
  for (const { loadBalancer } of rules.all.flatMap(blocksOf)) {
    for (const label of labelsOf(loadBalancer?.localityLbSetting)) labels.add(label)
    for (const label of labelsOf(loadBalancer?.zoneAwareLbSetting)) labels.add(label)
  }
  return [...labels].sort()
}

function placeOf(client: Client, names: readonly string[]): ClientPlace {
  const labels = withTopology(client.labels, client)
  const known = names.filter((name) => labels[name] !== undefined)
  return {
    locality: client.locality,
    labels: Object.fromEntries(known.map((name) => [name, labels[name] ?? ''])),
  }
}

/** What decides on a client's scope class besides the client. */
export interface ScopeSources {
  readonly input: { readonly mesh: MeshSettings }
  readonly selectors: Selectors
  /** Labels that order endpoints. */
  readonly placeLabels: readonly string[]
  readonly sidecars?: Pick<Sidecars, 'of'>
}

export function scopeOf(client: Client, sources: ScopeSources): Scope {
  const { selectors, placeLabels, sidecars, input } = sources
  const headers = sharedHeadersOf(proxyHeadersOf(client, input.mesh))
  const place = placeOf(client, placeLabels)
  const dnsFamily = dnsFamilyOf(client)
  const sidecar = sidecars?.of(client)
  const own = { ...client.labels, [workloadKey]: client.workload }
  const satisfied = [...selectors]
    .filter(([, labels]) => isSubset(labels, own))
    .map(([key]) => key)
    .sort()
  return {
    key: JSON.stringify([
      client.namespace,
      client.kind,
      client.systemRoots,
      dnsFamily,
      satisfied,
      sidecar?.key,
      place,
      keyOfHeaders(headers),
    ]),
    namespace: client.namespace,
    kind: client.kind,
    systemRoots: client.systemRoots,
    dnsFamily,
    place,
    headers,
    satisfied: new Set(satisfied),
    sidecar,
  }
}

/** As in Istio the client's own address tells what it can reach; a loopback address tells nothing of the network. */
function dnsFamilyOf({ address }: Pick<Client, 'address'>): DnsFamily {
  return isIP(address) === 6 && address !== '::1' ? 'v6' : 'v4'
}

export function isSelected(scope: Scope, selector: Labels): boolean {
  return scope.satisfied.has(selectorKey(selector))
}

function selectorKey(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).sort(([left], [right]) => compareText(left, right)))
}

export function isSubset(labels: Labels, of: Labels): boolean {
  return Object.entries(labels).every(([key, value]) => of[key] === value)
}
