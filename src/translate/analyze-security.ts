/**
 * What is wrong between resources that secure connections: PeerAuthentications that count for nothing or select
 * nothing, and rules that make clients speak what the far side does not take.
 */
import { flatMapInSteps, type Steps } from '../lib/steps.ts'
import type { Issue } from '../model/issue.ts'
import type {
  ClientTlsSettings,
  DestinationRuleSpec,
  TrafficPolicy,
} from '../model/istio/destination-rule.ts'
import { describeResource, type Resource } from '../model/resource.ts'
import { allServices, type Endpoint, type Service, type ServicePort } from '../registry/service.ts'
import { labelsText } from './analysis/known-workload.ts'
import { tlsRefusal } from './cluster-tls.ts'
import { isDestinationRule } from './destination-rule-index.ts'
import { hasLabels } from './endpoint.ts'
import { issueOf } from './finding.ts'
import { isCoveredBy, resolveHost } from './host-name.ts'
import type { MtlsMode } from './input.ts'
import { hasSelector, isSelecting, type PeerAuthentication } from './peer-authentication-index.ts'
import { endpointsOf, modeOfEndpoint, type World } from './world.ts'

export function* analyzeSecurity(world: World): Steps<Issue[]> {
  const rules = [...world.input.resources.values()].filter(isDestinationRule)
  return [
    ...(yield* flatMapInSteps(world.peerAuthentications.all, (policy) => [
      ...reportIgnored(world, policy),
      ...reportTwin(world, policy),
      ...reportNobody(world, policy),
    ])),
    ...(yield* flatMapInSteps(rules, (resource) => [
      ...reportRefused(resource),
      ...reportSystemRoots(resource),
      ...reportMismatch(world, resource),
    ])),
  ]
}

/** In the root namespace a policy is the mesh's, and has no selector. */
function reportIgnored(world: World, policy: PeerAuthentication): Issue[] {
  if (!world.peerAuthentications.isRoot(policy) || !hasSelector(policy)) return []
  const { namespace } = policy.metadata
  return [
    issueOf(policy, {
      code: 'IST0167',
      severity: 'warning',
      path: 'spec.selector',
      message: `the policy has no effect: "${namespace}" is the root namespace, where a policy with a selector is ignored`,
      remedy:
        'Move the policy to the namespace of the workloads, or remove the selector to speak for the mesh.',
    }),
  ]
}

/** Of two on one level only the oldest counts. */
function reportTwin(world: World, policy: PeerAuthentication): Issue[] {
  const { peerAuthentications } = world
  if (hasSelector(policy) && peerAuthentications.isRoot(policy)) return []
  const older = peerAuthentications.all
    .slice(0, peerAuthentications.all.indexOf(policy))
    .find((other) => isTwin(policy, other))
  if (older === undefined) return []
  const { file, line } = older.origin
  return [
    issueOf(policy, {
      code: 'IST0167',
      severity: 'warning',
      path: hasSelector(policy) ? 'spec.selector' : 'spec',
      message:
        `the policy has no effect: ${describeResource(older)} (${file}:${line}) is older ` +
        `and speaks for the same workloads`,
      remedy: 'Join the two policies, or remove one.',
    }),
  ]
}

function isTwin(policy: PeerAuthentication, other: PeerAuthentication): boolean {
  if (policy.metadata.namespace !== other.metadata.namespace) return false
  const labels = policy.spec.selector?.matchLabels ?? {}
  // An older selector that asks for less selects all that this one does.
  return hasSelector(policy) === hasSelector(other) && isSelecting(other, labels)
}

function reportNobody(world: World, policy: PeerAuthentication): Issue[] {
  if (!hasSelector(policy) || world.peerAuthentications.isRoot(policy)) return []
  const { namespace } = policy.metadata
  const { registry } = world.input
  const runs = [...registry.workloads.values(), ...[...registry.endpoints.values()].flat()]
  const isThere = runs.some(
    (workload) => workload.namespace === namespace && isSelecting(policy, workload.labels),
  )
  if (isThere) return []
  return [
    issueOf(policy, {
      code: 'IST0127',
      severity: 'warning',
      path: 'spec.selector',
      message:
        `no workload of namespace "${namespace}" has the labels ` +
        labelsText(policy.spec.selector?.matchLabels ?? {}),
      remedy: 'Correct the labels, or start a workload that has them.',
    }),
  ]
}

interface TlsBlock {
  readonly path: string
  readonly tls: ClientTlsSettings
  /** Undefined: every port. */
  readonly port: number | undefined
  /** Labels of the subset that it is for. */
  readonly labels: Readonly<Record<string, string>> | undefined
}

/** Every `tls` of a rule. */
function tlsBlocksOf({ spec }: Resource<DestinationRuleSpec>): TlsBlock[] {
  return [
    ...blocksOf('spec.trafficPolicy', spec.trafficPolicy, undefined),
    ...(spec.subsets ?? []).flatMap(({ trafficPolicy, labels }, index) =>
      blocksOf(`spec.subsets[${index}].trafficPolicy`, trafficPolicy, labels),
    ),
  ]
}

function blocksOf(
  path: string,
  policy: TrafficPolicy | undefined,
  labels: TlsBlock['labels'],
): TlsBlock[] {
  const own = { path: `${path}.tls`, tls: policy?.tls, port: undefined }
  const byPort = (policy?.portLevelSettings ?? []).map(({ tls, port }, index) => ({
    path: `${path}.portLevelSettings[${index}].tls`,
    tls,
    port: port?.number ?? 0,
  }))
  return [own, ...byPort].flatMap(({ tls, ...place }) =>
    tls === undefined ? [] : { ...place, tls, labels },
  )
}

/** What cannot be had takes the destination out: less protection must not take its place. */
function reportRefused(resource: Resource<DestinationRuleSpec>): Issue[] {
  return tlsBlocksOf(resource).flatMap(({ path, tls }) => {
    const refusal = tlsRefusal(tls, resource.spec.workloadSelector !== undefined)
    if (refusal === undefined) return []
    const { said, remedy } = refusals[refusal]
    return issueOf(resource, {
      code: 'TUL0011',
      severity: 'error',
      path: `${path}.credentialName`,
      message: `${said}; requests to the destination get 503 rather than leave with less protection`,
      remedy,
    })
  })
}

const refusals = {
  selector: {
    said: 'credentialName is for a rule with a workloadSelector: others may not have the credential',
    remedy:
      'Add a workloadSelector that names the clients, or use the files clientCertificate, privateKey and caCertificates.',
  },
  name: {
    said: 'credentialName is no name of a credential',
    remedy:
      "Write the name of a folder in the client's credentials: lower case letters, digits, '-' and '.'.",
  },
} as const

/** Older Istio verifies nothing then; Tulle, as Istio of today, asks the authorities that the host trusts. */
function reportSystemRoots(resource: Resource<DestinationRuleSpec>): Issue[] {
  return tlsBlocksOf(resource)
    .filter(({ tls }) => isVerifiedBySystem(tls, resource.spec.workloadSelector !== undefined))
    .map(({ path, port, tls }) =>
      issueOf(resource, {
        code: port === undefined ? 'IST0128' : 'IST0129',
        severity: 'warning',
        path: `${path}.mode`,
        message:
          `mode ${tls.mode} without caCertificates: ` +
          'the server is verified by the authorities that the host trusts',
        remedy:
          'Name the file of the authorities in caCertificates, or write "system" to mean the host\'s.',
      }),
    )
}

/** A credential is a sidecar's only where the rule says whose. */
function isVerifiedBySystem(tls: ClientTlsSettings, hasSelector: boolean): boolean {
  if (tls.mode !== 'SIMPLE' && tls.mode !== 'MUTUAL') return false
  const hasCredential = hasSelector && (tls.credentialName ?? '') !== ''
  const isNamed = (tls.caCertificates ?? '') !== '' || hasCredential
  return !isNamed && tls.insecureSkipVerify !== true
}

/** Clients that a rule makes speak plaintext, or TLS that is not the mesh's, to workloads that take mTLS only. */
function reportMismatch(world: World, resource: Resource<DestinationRuleSpec>): Issue[] {
  return tlsBlocksOf(resource).flatMap((block) => {
    const found = mismatchOf(world, resource, block)
    if (found === undefined) return []
    const { service, port, endpoint, mode } = found
    const said = block.tls.mode ?? 'DISABLE'
    const takes = mode === 'STRICT' ? 'mTLS only' : 'plaintext only'
    return issueOf(resource, {
      code: 'TUL0014',
      severity: 'error',
      path: `${block.path}.mode`,
      message:
        `tls mode ${said} for ${service.hostname}:${port.number}, ` +
        `and its workload ${endpoint.namespace}/${endpoint.workload} takes ${takes}: calls will be refused`,
      remedy:
        mode === 'STRICT'
          ? 'remove the tls block, which leaves the choice to the mesh, or set mode ISTIO_MUTUAL; ' +
            'or let a PeerAuthentication be PERMISSIVE'
          : 'remove the tls block, which leaves the choice to the mesh, or set mode DISABLE',
    })
  })
}

interface Mismatch {
  readonly service: Service
  readonly port: ServicePort
  readonly endpoint: Endpoint
  readonly mode: MtlsMode
}

function mismatchOf(
  world: World,
  resource: Resource<DestinationRuleSpec>,
  block: TlsBlock,
): Mismatch | undefined {
  for (const { service, port } of portsOf(world, resource, block)) {
    const sidecars = endpointsOf(world, service, port).filter(
      (endpoint) => endpoint.tlsMode === 'istio' && hasLabels(endpoint, block.labels),
    )
    for (const endpoint of sidecars) {
      const mode = modeOfEndpoint(world, port, endpoint)
      if (isRefusedBy(mode, block.tls)) return { service, port, endpoint, mode }
    }
  }
  return undefined
}

/** Ports of the services that a rule covers, as far as the block is for them. */
function portsOf(world: World, { spec, metadata }: Resource<DestinationRuleSpec>, block: TlsBlock) {
  const host = resolveHost(spec.host, metadata.namespace)
  return [...allServices(world.input.registry)]
    .filter(({ hostname }) => hostname === host || isCoveredBy(hostname, host))
    .flatMap((service) => service.ports.map((port) => ({ service, port })))
    .filter(({ port }) => block.port === undefined || block.port === port.number)
}

function isRefusedBy(mode: MtlsMode, { mode: said = 'DISABLE' }: ClientTlsSettings): boolean {
  if (mode === 'STRICT') return said === 'DISABLE' || said === 'SIMPLE'
  return mode === 'DISABLE' && said === 'ISTIO_MUTUAL'
}
