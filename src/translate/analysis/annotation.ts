/** Annotations of Istio's own on Services: unknown ones, those of other kinds, and those that are out of use. */
import type { Issue } from '../../model/issue.ts'
import type { Resource } from '../../model/resource.ts'
import { issueOf } from '../finding.ts'

/** Names of istio.io/api's annotations, by what they may stand on; `any` may stand anywhere. */
const known: Readonly<Record<string, readonly string[]>> = {
  any: [
    'galley.istio.io/analyze-suppress',
    'install.operator.istio.io/chart-owner',
    'install.operator.istio.io/owner-generation',
    'install.operator.istio.io/version',
    'istio.io/rev',
  ],
  Service: [
    'alpha.istio.io/canonical-serviceaccounts',
    'alpha.istio.io/kubernetes-serviceaccounts',
    'networking.istio.io/address-type',
    'networking.istio.io/exportTo',
    'networking.istio.io/service-type',
    'networking.istio.io/traffic-distribution',
    'ambient.istio.io/bypass-inbound-capture',
    'istio.io/service-account',
  ],
  AuthorizationPolicy: ['istio.io/dry-run'],
  WorkloadEntry: [
    'istio.io/autoRegistrationGroup',
    'istio.io/connectedAt',
    'istio.io/disconnectedAt',
    'istio.io/workloadController',
    'proxy.istio.io/health-checks-enabled',
  ],
  Ingress: ['kubernetes.io/ingress.class'],
  Gateway: ['ambient.istio.io/waypoint-inbound-binding', 'gateway.istio.io/controller-version'],
  Pod: [
    'alpha.istio.io/identity',
    'ambient.istio.io/dns-capture',
    'ambient.istio.io/redirection',
    'inject.istio.io/templates',
    'prometheus.istio.io/merge-metrics',
    'proxy.istio.io/config',
    'proxy.istio.io/overrides',
    'status.sidecar.istio.io/port',
    ...names('readiness.status.sidecar.istio.io', [
      'applicationPorts',
      'failureThreshold',
      'initialDelaySeconds',
      'periodSeconds',
    ]),
    ...names('traffic.sidecar.istio.io', [
      'excludeInboundPorts',
      'excludeInterfaces',
      'excludeOutboundIPRanges',
      'excludeOutboundPorts',
      'includeInboundPorts',
      'includeOutboundIPRanges',
      'includeOutboundPorts',
      'kubevirtInterfaces',
    ]),
    ...names('sidecar.istio.io', [
      'agentLogLevel',
      'bootstrapOverride',
      'componentLogLevel',
      'controlPlaneAuthPolicy',
      'discoveryAddress',
      'enableCoreDump',
      'extraStatTags',
      'inject',
      'interceptionMode',
      'logLevel',
      'nativeSidecar',
      'proxyCPU',
      'proxyCPULimit',
      'proxyImage',
      'proxyImageType',
      'proxyMemory',
      'proxyMemoryLimit',
      'rewriteAppHTTPProbers',
      'statsHistogramBuckets',
      'statsInclusionPrefixes',
      'statsInclusionRegexps',
      'statsInclusionSuffixes',
      'status',
      'userVolume',
      'userVolumeMount',
    ]),
  ],
}

const deprecated = new Set([
  'alpha.istio.io/canonical-serviceaccounts',
  'alpha.istio.io/kubernetes-serviceaccounts',
  'alpha.istio.io/identity',
])

function names(domain: string, all: readonly string[]): readonly string[] {
  return all.map((name) => `${domain}/${name}`)
}

export function reportAnnotations(resources: ReadonlyMap<string, Resource>): Issue[] {
  return [...resources.values()]
    .filter(({ kind, apiVersion }) => kind === 'Service' && apiVersion === 'v1')
    .flatMap((resource) =>
      Object.keys(resource.metadata.annotations)
        .filter(isOfIstio)
        .flatMap((name) => reportAnnotation(resource, name)),
    )
}

/** Istio documents one of Kubernetes' too. */
function isOfIstio(name: string): boolean {
  if (name === 'kubernetes.io/ingress.class') return true
  return (name.split('/', 1)[0] ?? '').endsWith('istio.io')
}

function reportAnnotation(resource: Resource, name: string): Issue[] {
  const path = `metadata.annotations[${name}]`
  const homes = Object.keys(known).filter((kind) => known[kind]?.includes(name) === true)
  if (homes.length === 0) {
    return [
      issueOf(resource, {
        code: 'IST0108',
        severity: 'warning',
        path,
        message: `unknown annotation "${name}"`,
        remedy: 'Correct the name, or remove the annotation.',
      }),
    ]
  }
  if (!homes.includes('any') && !homes.includes(resource.kind)) {
    return [
      issueOf(resource, {
        code: 'IST0107',
        severity: 'warning',
        path,
        message: `annotation "${name}" belongs on ${homes.join(', ')}, not on a ${resource.kind}`,
        remedy: 'Move the annotation, or remove it.',
      }),
    ]
  }
  if (!deprecated.has(name)) return []
  return [
    issueOf(resource, {
      code: 'IST0135',
      severity: 'info',
      path,
      message: `annotation "${name}" is deprecated and may not work in future versions of Istio`,
      remedy: 'Remove the annotation.',
    }),
  ]
}
