/** Kubernetes' Service, field by field, as the API server takes it. */
import { protocolNames } from '../istio/protocol.ts'
import { labels, port } from '../schema/field-shape.ts'
import { ipAddress } from '../schema/host-format.ts'
import { dnsLabel, dnsSubdomain, portName } from '../schema/name-format.ts'
import { reportRepeats } from '../schema/rule.ts'
import {
  bool,
  clip,
  either,
  int,
  list,
  named,
  object,
  oneOf,
  refine,
  required,
  text,
} from '../schema/shape.ts'
import type { Check, Reading, Rule, Shape } from '../schema/shape.ts'
import { itemPath } from '../schema/source-node.ts'
import type { ServicePortSpec, ServiceSpec } from './service.ts'

const checkClusterIp: Check<string> = (value) =>
  value === '' || value === 'None' ? undefined : ipAddress(value)

const targetPort: Shape<number | string> = either(port(), text(portName), (node) =>
  node.type === 'scalar' && typeof node.value === 'number'
    ? undefined
    : { message: 'not a number', remedy: '' },
)

const transports: ReadonlySet<string> = new Set(['TCP', 'UDP', 'SCTP'])

/** Files for Istio's analyzers say HTTP here: the port's name or appProtocol is the place for it, and TCP is meant. */
const checkTransport: Check<string> = (value) => {
  if (transports.has(value)) return undefined
  const isSpokenOverTcp = protocolNames.includes(value.toUpperCase())
  return {
    ...(isSpokenOverTcp && { code: 'IST0133', severity: 'warning' }),
    message: isSpokenOverTcp
      ? `${value} is no transport: TCP is meant`
      : `must be one of TCP, UDP, SCTP, got "${clip(value)}"`,
    remedy: isSpokenOverTcp
      ? 'Write TCP, and name the protocol in appProtocol or at the beginning of name.'
      : 'Use one of these words.',
  }
}

const servicePort: Shape<ServicePortSpec> = object<ServicePortSpec>({
  name: text(dnsLabel),
  protocol: named('one of TCP, UDP, SCTP', text(checkTransport)),
  appProtocol: text(),
  port: required(port()),
  targetPort,
  nodePort: int({ min: 0, max: 65_535 }),
})

function checkPorts(ports: readonly ServicePortSpec[], path: string, reading: Reading): void {
  for (const index of ports.keys()) {
    const at = itemPath(path, index)
    if (ports.length > 1 && !reading.isPresent(`${at}.name`)) {
      reading.report(`${at}.name`, {
        message: 'name is required when a Service has several ports',
        remedy: 'Give each port a name such as http.',
      })
    }
  }
  reportRepeats(
    ports,
    (entry) => entry.name,
    (index, name) => {
      reading.report(`${itemPath(path, index)}.name`, {
        message: `port name "${String(name)}" is there twice`,
        remedy: 'Give each port a name of its own.',
      })
    },
  )
  reportRepeats(
    ports,
    (entry) =>
      entry.port === undefined ? undefined : `${String(entry.port)}/${entry.protocol ?? 'TCP'}`,
    (index, key) => {
      reading.report(`${itemPath(path, index)}.port`, {
        message: `port ${String(key)} is there twice`,
        remedy: 'Remove one of the two.',
      })
    },
  )
}

const checkHasPorts: Rule<ServiceSpec> = (value, path, reading) => {
  const isPortless = value.type === 'ExternalName' || value.clusterIP === 'None'
  const isThere = reading.isPresent(`${path}.ports`) && value.ports?.length !== 0
  if (isPortless || isThere) return
  reading.report(`${path}.ports`, {
    message: 'ports is required (unless the Service is headless or an ExternalName)',
    remedy: 'Add at least one port.',
  })
}

const checkExternalName: Rule<ServiceSpec> = (value, path, reading) => {
  if (value.type !== 'ExternalName' || reading.isPresent(`${path}.externalName`)) return
  reading.report(`${path}.externalName`, {
    message: 'externalName is required in a Service of type ExternalName',
    remedy: 'Add the host that the Service stands for.',
  })
}

const checkDnsTarget: Check<string> = (value) =>
  value === '' ? undefined : dnsSubdomain(value.replace(/\.$/, ''))

const affinityConfig = object<NonNullable<ServiceSpec['sessionAffinityConfig']>>({
  clientIP: object<NonNullable<NonNullable<ServiceSpec['sessionAffinityConfig']>['clientIP']>>({
    timeoutSeconds: int({ min: 1, max: 86_400 }),
  }),
})

const checkDistribution: Check<string> = (value) =>
  /^[A-Za-z0-9]/.test(value)
    ? undefined
    : {
        message: `must be a word such as PreferSameZone, got "${clip(value)}"`,
        remedy: 'Use PreferSameZone, PreferSameNode or PreferClose.',
      }

export const serviceShape: Shape<ServiceSpec> = object<ServiceSpec>(
  {
    ports: refine(list(servicePort), checkPorts),
    selector: labels(),
    clusterIP: text(checkClusterIp),
    clusterIPs: list(text(checkClusterIp), { itemsMax: 2 }),
    type: oneOf('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'),
    externalName: text(checkDnsTarget),
    externalIPs: list(text(ipAddress)),
    sessionAffinity: oneOf('None', 'ClientIP'),
    sessionAffinityConfig: affinityConfig,
    externalTrafficPolicy: oneOf('Cluster', 'Local'),
    internalTrafficPolicy: oneOf('Cluster', 'Local'),
    healthCheckNodePort: int({ min: 0, max: 65_535 }),
    publishNotReadyAddresses: bool(),
    ipFamilies: list(oneOf('IPv4', 'IPv6'), { itemsMax: 2 }),
    ipFamilyPolicy: oneOf('SingleStack', 'PreferDualStack', 'RequireDualStack'),
    allocateLoadBalancerNodePorts: bool(),
    loadBalancerClass: text(),
    loadBalancerIP: text(),
    loadBalancerSourceRanges: list(text()),
    trafficDistribution: text(checkDistribution),
  },
  checkHasPorts,
  checkExternalName,
)
