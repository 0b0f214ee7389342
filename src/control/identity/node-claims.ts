/**
 * Whether a node may be what it says, by its certificate: trust domain, namespace, service account, WorkloadGroup,
 * and the labels by which services find it. Metadata never widens what the certificate gives; where it says nothing,
 * the certificate fills it in.
 *
 * A certificate that is bound to a group (its join token was) admits to the labels of that group and to no service
 * beside. One that is not may carry any label in its own namespace, as a pod may that a service account starts in
 * Istio; it may join only groups of its service account. A workload that was here before with the same labels comes
 * back with them, also when its group was edited meanwhile: it is the group's owner who changed, not the claim.
 */
import { parseSpiffeId, type WorkloadIdentity } from '../../identity/spiffe-id.ts'
import type { TlsPeer } from '../../xds/grpc/tls-peer.ts'
import type { StreamNode } from '../../xds/resource-set.ts'

export type ClaimRefusal =
  | 'foreign-identity'
  | 'namespace'
  | 'service-account'
  | 'group'
  | 'label'
  | 'service'
  | 'id-taken'

export type Claimed =
  | { readonly ok: true; readonly node: StreamNode }
  | { readonly ok: false; readonly reason: ClaimRefusal; readonly detail: string }

export interface GroupTerms {
  readonly labels: Readonly<Record<string, string>>
  /** Empty: any of the namespace. */
  readonly serviceAccount: string
}

/** What the registry knows of the same node id. */
export interface KnownWorkload {
  readonly serviceAccount: string
  readonly labels: Readonly<Record<string, string>>
}

export interface ClaimFacts {
  readonly trustDomains: ReadonlySet<string>
  /** SPIFFE id of another open stream of this node id. */
  readonly holderOf: (nodeId: string) => string | undefined
  readonly groupTerms: (namespace: string, group: string) => GroupTerms | undefined
  readonly known: (nodeId: string) => KnownWorkload | undefined
}

/** Labels that say where and how a workload runs, not what it is: agents add them by themselves. */
const harmless =
  /^(topology\.(kubernetes|istio)\.io\/|security\.istio\.io\/tlsMode$|istio\.io\/rev$|istio-locality$)/

export function checkClaims(node: StreamNode, peer: TlsPeer, facts: ClaimFacts): Claimed {
  const own = parseSpiffeId(peer.spiffeId)?.workload
  if (own === undefined || !facts.trustDomains.has(own.trustDomain)) {
    return refuse('foreign-identity', `${peer.spiffeId} is no workload of this mesh`)
  }
  const refusal = refusalOfNames(node, own) ?? refusalOfId(node, peer, facts)
  if (refusal !== undefined) return refusal
  const { namespace, serviceAccount } = own
  const group = text(node, 'AUTO_REGISTER_GROUP') ?? peer.workloadGroup
  const tooMuch = refusalOfGroup({ node, peer, facts, group, serviceAccount, namespace })
  if (tooMuch !== undefined) return tooMuch
  const metadata = {
    ...node.metadata,
    NAMESPACE: namespace,
    SERVICE_ACCOUNT: serviceAccount,
    ...(group === undefined ? {} : { AUTO_REGISTER_GROUP: group }),
  }
  return { ok: true, node: { ...node, metadata } }
}

function refusalOfNames(node: StreamNode, own: WorkloadIdentity): Claimed | undefined {
  const { namespace, serviceAccount } = own
  for (const claimed of [text(node, 'NAMESPACE'), namespaceOfId(node.id)]) {
    if (claimed === undefined || claimed === namespace) continue
    return refuse('namespace', `says namespace ${quote(claimed)}, is of ${namespace}`)
  }
  const claimed = text(node, 'SERVICE_ACCOUNT')
  if (claimed === undefined || claimed === serviceAccount) return undefined
  return refuse('service-account', `says service account ${quote(claimed)}, is ${serviceAccount}`)
}

function refusalOfId(node: StreamNode, peer: TlsPeer, facts: ClaimFacts): Claimed | undefined {
  const holder = facts.holderOf(node.id)
  if (holder === undefined || holder === peer.spiffeId) return undefined
  return refuse('id-taken', `another workload, ${holder}, is connected under this id`)
}

interface GroupCase {
  readonly node: StreamNode
  readonly peer: TlsPeer
  readonly facts: ClaimFacts
  readonly group: string | undefined
  readonly serviceAccount: string
  readonly namespace: string
}

function refusalOfGroup(claim: GroupCase): Claimed | undefined {
  const { node, peer, facts, group, serviceAccount, namespace } = claim
  if (peer.workloadGroup !== undefined && group !== peer.workloadGroup) {
    const detail = `says WorkloadGroup ${quote(group ?? '')}, its certificate is for ${peer.workloadGroup}`
    return refuse('group', detail)
  }
  const service = text(node, 'SERVICE')
  if (peer.workloadGroup !== undefined && service !== undefined) {
    const detail = `says that it serves ${quote(service)}; its certificate is bound to a WorkloadGroup`
    return refuse('service', detail)
  }
  if (group === undefined) return undefined
  // A group that is not there is the registry's to tell.
  const terms = facts.groupTerms(namespace, group)
  if (terms === undefined) return undefined
  if (terms.serviceAccount !== '' && terms.serviceAccount !== serviceAccount) {
    const detail = `WorkloadGroup ${group} is of service account ${terms.serviceAccount}, the caller is ${serviceAccount}`
    return refuse('group', detail)
  }
  return refusalOfLabels(claim, terms)
}

function refusalOfLabels(
  { node, peer, facts, serviceAccount }: GroupCase,
  { labels: granted }: GroupTerms,
): Claimed | undefined {
  const before = facts.known(node.id)
  for (const [key, value] of Object.entries(labelsOf(node))) {
    if (harmless.test(key) || granted[key] === value) continue
    if (before?.serviceAccount === serviceAccount && before.labels[key] === value) continue
    const isBound = peer.workloadGroup !== undefined
    // Without a binding only what contradicts the group is too much.
    if (!isBound && granted[key] === undefined) continue
    const expected = granted[key] === undefined ? 'no such label' : quote(granted[key])
    const detail = `says label ${quote(key)}: ${quote(String(value))}, its WorkloadGroup has ${expected}`
    return refuse('label', detail)
  }
  return undefined
}

function labelsOf(node: StreamNode): Readonly<Record<string, unknown>> {
  const labels = node.metadata['LABELS']
  return typeof labels === 'object' && labels !== null ? (labels as Record<string, unknown>) : {}
}

/** Empty text counts as absent, as Istio's agent sends it. */
function text(node: StreamNode, key: string): string | undefined {
  const value = node.metadata[key]
  if (value === undefined || value === null || value === '') return undefined
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** `sidecar~IP~name.namespace~domain` */
function namespaceOfId(id: string): string | undefined {
  const named = id.split('~')[2]
  return named?.includes('.') === true ? named.slice(named.lastIndexOf('.') + 1) : undefined
}

function quote(value: string): string {
  return JSON.stringify(value.slice(0, 120))
}

function refuse(reason: ClaimRefusal, detail: string): Claimed {
  return { ok: false, reason, detail }
}
