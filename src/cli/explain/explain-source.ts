/**
 * Where an explanation's facts come from: files, translated here as the control plane would; or a running mesh, whose
 * sidecar is asked for its configuration and whose control plane is asked for the resources behind it.
 */
import { isIP } from 'node:net'

import type { ObjectList } from '../../api/object.ts'
import {
  firstCallPath,
  viewPath,
  type FirstCall,
  type IssueObject,
  type ProxyObject,
} from '../../api/view.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import type { Issue } from '../../model/issue.ts'
import type { VirtualServiceSpec } from '../../model/istio/virtual-service.ts'
import { kinds } from '../../model/kinds.ts'
import { resourceKey, type Resource } from '../../model/resource.ts'
import { messagesOfJson, messagesOfView } from '../../proxy/explain/config-messages.ts'
import { unresolved } from '../../proxy/explain/explain-cluster.ts'
import { createExplainer, type ExplainOptions } from '../../proxy/explain/explain-request.ts'
import type { ProxyExplanation } from '../../proxy/explain/explanation.ts'
import { requestTarget, type RequestLine } from '../../proxy/explain/request-target.ts'
import { analyze } from '../../translate/analyze.ts'
import { clientOf, withRegisteredLabels } from '../../translate/client.ts'
import { meshSettingsOfSpec } from '../../translate/input.ts'
import { isVirtualService } from '../../translate/virtual-service-index.ts'
import { apiClient, type ApiClient } from '../api-client.ts'
import type { CommandInput } from '../command.ts'
import {
  loadOffline,
  nodeOf,
  pickWorkload,
  viewOf,
  type OfflineMesh,
  type OfflineNode,
  type OfflineOptions,
} from '../offline.ts'
import { pickProxy } from '../proxy-config/admin-address.ts'
import { readProxyResources, type HostState } from '../proxy-config/config-dump.ts'
import { isOnDemand, withFirstCall } from '../proxy-config/on-demand.ts'
import {
  DeclaredFiles,
  liveMesh,
  liveResource,
  liveVirtualServices,
  type ResourceReference,
} from './live-resource.ts'

export interface ExplainSource {
  readonly mode: 'live' | 'offline'
  readonly client: ExplainedClient
  /** Rejections: MESH_USAGE, MESH_CONFIG_REJECTED. */
  explain(request: RequestLine): ProxyExplanation
  /**
   * What would happen at the first call of a host that a sidecar on demand has not fetched: as `explain`, with what the
   * control plane would give then. Undefined: it is not on demand, or has it. Absent: nothing is ever fetched.
   */
  explainFirstCall?(request: RequestLine): Promise<ProxyExplanation | undefined>
  /** Undefined when it is not there any more. */
  resource(reference: ResourceReference): Promise<Resource | undefined>
  issues(): Promise<readonly Issue[]>
  virtualServices(): Promise<readonly Resource<VirtualServiceSpec>[]>
  /** Where VirtualServices are exported to that do not say so. */
  readonly exportTo: readonly string[]
}

export interface ExplainedClient {
  readonly workload: string
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
}

export async function openOffline({
  from,
  ...files
}: OfflineOptions & { readonly from: string | undefined }): Promise<ExplainSource> {
  const { namespace } = files
  const offline = await loadOffline(files)
  const node =
    offline.bootstraps.size === 0
      ? standInNode({ workload: from ?? 'client', namespace: namespace ?? 'default' })
      : nodeOf(pickWorkload(offline.bootstraps, from).bootstrap)
  return offlineSource(offline, node)
}

export function offlineSource(
  offline: OfflineMesh,
  node: OfflineNode,
  options: ExplainOptions = {},
): ExplainSource {
  const { input } = offline
  const streamNode = { ...node, userAgentName: 'tulle', userAgentVersion: '', clientFeatures: [] }
  const locality = { region: '', zone: '', subZone: '' }
  const client = withRegisteredLabels(clientOf({ ...streamNode, locality }), input.registry)
  const knowsEndpoints = input.registry.workloads.size > 0
  const messages = messagesOfView(viewOf(offline, node))
  const explain = createExplainer(messages, { knowsEndpoints, ...options })
  return {
    mode: 'offline',
    client,
    explain,
    resource: (reference) => Promise.resolve(input.resources.get(keyOf(reference))),
    issues: () => Promise.resolve([...offline.issues, ...analyze(input)]),
    virtualServices: () => Promise.resolve([...input.resources.values()].filter(isVirtualService)),
    exportTo: input.mesh.virtualServiceExportTo,
  }
}

function keyOf({ kind, namespace, name }: ResourceReference): string {
  const group = kinds.find((entry) => entry.kind === kind)?.group ?? ''
  return resourceKey(group, kind, { namespace, name })
}

/** A client of files that declare no workloads. */
export function standInNode({
  workload,
  namespace,
  labels = { app: workload },
}: {
  readonly workload: string
  readonly namespace: string
  readonly labels?: Readonly<Record<string, string>>
}): OfflineNode {
  return {
    id: `sidecar~127.0.0.1~${workload}.${namespace}~${namespace}.svc.cluster.local`,
    cluster: `${workload}.${namespace}`,
    metadata: {
      NAMESPACE: namespace,
      WORKLOAD_NAME: workload,
      LABELS: labels,
      HTTP_PROXY_PORT: 15_001,
    },
  }
}

export async function openLive(input: CommandInput): Promise<ExplainSource> {
  const { flags, context } = input
  const api = apiClient(flags, context)
  const { items } = await api.get<ObjectList<ProxyObject>>(viewPath('proxies'))
  const proxy = pickProxy(items, flags.text('from'), flags.text('namespace'))
  const { adminAddress, workload } = proxy.status
  if (adminAddress === undefined) {
    throw new MeshError('MESH_API_FAILED', `${proxy.metadata.name} did not say where its admin is`)
  }
  const resources = await readProxyResources(adminAddress)
  const mesh = await liveMesh(api)
  const healthOf = healthLookup(resources.hosts ?? [])
  const files = new DeclaredFiles()
  const explain = createExplainer(messagesOfJson(resources), { healthOf })
  return {
    mode: 'live',
    client: {
      workload,
      namespace: proxy.metadata.namespace ?? api.namespace,
      labels: proxy.metadata.labels ?? {},
    },
    explain,
    async explainFirstCall(request) {
      if (!isOnDemand(resources)) return undefined
      const host = requestTarget(request).head('absolute').authority
      const given = await api.get<FirstCall>(firstCallPath(proxy, host))
      if (!given.isOnDemand) return undefined
      const messages = messagesOfJson(withFirstCall(resources, given))
      return createExplainer(messages, { healthOf })(request)
    },
    resource: (reference) => liveResource(api, reference, files),
    issues: () => liveIssues(api),
    virtualServices: () => liveVirtualServices(api, files),
    exportTo: meshSettingsOfSpec(mesh).virtualServiceExportTo,
  }
}

/** `name:port`, of which the sidecar has hosts by the addresses that it found. */
function isName(address: string): boolean {
  const colon = address.lastIndexOf(':')
  return colon > 0 && !address.startsWith('[') && isIP(address.slice(0, colon)) === 0
}

function healthLookup(hosts: readonly HostState[]) {
  const known = new Map(
    hosts.map(({ cluster, address, health }) => [`${cluster} ${address}`, health]),
  )
  const resolved = new Set(hosts.map(({ cluster }) => cluster))
  return (cluster: string, address: string) => {
    const health = known.get(`${cluster} ${address}`)
    if (health !== undefined || resolved.has(cluster)) return health
    return isName(address) ? unresolved : undefined
  }
}

async function liveIssues(api: ApiClient): Promise<readonly Issue[]> {
  const { items } = await api.get<ObjectList<IssueObject>>(viewPath('issues'))
  return items.map(({ issue }) => issue)
}
