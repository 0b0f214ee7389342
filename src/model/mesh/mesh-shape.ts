/** Our Mesh, field by field: what `tulle up` starts. */
import { checkProtocol } from '../istio/protocol.ts'
import { readinessProbe } from '../istio/workload-group-shape.ts'
import { labels, port, portOrZero } from '../schema/field-shape.ts'
import { nonEmpty } from '../schema/format.ts'
import { isHostName, isIpAddress, hostLabel, portRange } from '../schema/host-format.ts'
import { annotationKey, dnsLabel, dnsSubdomain, serviceName } from '../schema/name-format.ts'
import { entriesOf, reportRepeats } from '../schema/rule.ts'
import {
  clip,
  either,
  int,
  list,
  looseText,
  mapOf,
  named,
  object,
  refine,
  required,
  text,
  uint32Max,
} from '../schema/shape.ts'
import type { Check, Reading, Rule, Shape } from '../schema/shape.ts'
import { itemPath, keyPath } from '../schema/source-node.ts'
import { checkTrustDomain, meshConfigShape } from './mesh-config-shape.ts'
import type { MeshService, MeshServicePort, MeshSpec, MeshWorkload } from './mesh.ts'
import {
  checkProxyAnnotations,
  proxyConfigAnnotation,
  proxyConfigOfAnnotations,
} from './proxy-config-annotation.ts'

/** More replicas on one host are a slip. */
const replicasMax = 1000

const commandLine: Shape<string | readonly string[]> = named(
  'text or list of texts',
  either(list(looseText(), { itemsMin: 1 }), text(nonEmpty), (node) =>
    node.type === 'list' ? undefined : { message: 'not a list', remedy: '' },
  ),
)

const environmentName: Check<string> = (name) =>
  /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)
    ? undefined
    : {
        message: `must be the name of an environment variable, got "${clip(name)}"`,
        remedy: 'Use letters, digits and "_", not beginning with a digit.',
      }

const checkUpstream: Check<string> = (value) => {
  const [, host = '', number = ''] = /^(.*):(\d{1,5})$/.exec(value) ?? []
  const isPort = Number(number) >= portRange.min && Number(number) <= portRange.max
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  if (isPort && (isHostName(host) || isIpAddress(bare))) return undefined
  return {
    message: `must be host:port, got "${clip(value)}"`,
    remedy: 'Write a host and a port such as postgres:5432.',
  }
}

const workload: Shape<MeshWorkload> = object<MeshWorkload>({
  name: required(text(dnsSubdomain)),
  namespace: text(dnsLabel),
  labels: labels(),
  annotations: mapOf(text(), annotationKey),
  serviceAccount: text(dnsSubdomain),
  replicas: int({ min: 0, max: replicasMax }),
  command: required(commandLine),
  build: commandLine,
  cwd: text(nonEmpty),
  env: mapOf(looseText(), environmentName),
  port: portOrZero(),
  upstreams: list(text(checkUpstream)),
  probe: readinessProbe({ isPortOptional: true }),
  credentials: text(nonEmpty),
  terminationGracePeriodSeconds: int({ min: 0, max: 86_400 }),
  locality: text(),
  weight: int({ min: 0, max: uint32Max }),
})

const servicePort: Shape<MeshServicePort> = object<MeshServicePort>({
  number: required(port()),
  name: text(hostLabel),
  protocol: text(checkProtocol),
  targetPort: port(),
})

const service: Shape<MeshService> = object<MeshService>({
  name: required(text(serviceName)),
  namespace: text(dnsLabel),
  ports: required(refine(list(servicePort, { itemsMin: 1 }), checkPorts)),
  labels: labels(),
  annotations: mapOf(text(), annotationKey),
  workloads: list(workload),
})

function checkPorts(ports: readonly MeshServicePort[], path: string, reading: Reading): void {
  for (const name of ['number', 'name'] as const) {
    reportRepeats(
      ports,
      (entry) => entry[name],
      (index, key) => {
        reading.report(`${itemPath(path, index)}.${name}`, {
          message: `port ${name} ${String(key)} is there twice`,
          remedy: `Give each port a ${name} of its own.`,
        })
      },
    )
  }
}

const checkNames: Rule<MeshSpec> = (value, path, reading) => {
  const namespaceOf = (entry: { readonly namespace?: string }): string =>
    entry.namespace ?? reading.namespace
  reportRepeats(
    value.services,
    (entry) => (entry.name === undefined ? undefined : `${namespaceOf(entry)}/${entry.name}`),
    (index, key) => {
      reading.report(`${itemPath(`${path}.services`, index)}.name`, twice('service', key))
    },
  )
  const placed = placesOfWorkloads(value, path)
  reportRepeats(
    placed,
    ({ entry, service }) =>
      entry.name === undefined
        ? undefined
        : `${entry.namespace ?? service?.namespace ?? reading.namespace}/${entry.name}`,
    (index, key) => {
      reading.report(`${String(placed[index]?.path)}.name`, twice('workload', key))
    },
  )
}

function twice(what: string, key: string | number): { message: string; remedy: string } {
  return {
    message: `${what} ${String(key)} is there twice`,
    remedy: `Give each ${what} a name of its own; use replicas for several of one kind.`,
  }
}

interface PlacedWorkload {
  readonly entry: MeshWorkload
  readonly service: MeshService | undefined
  readonly path: string
}

function placesOfWorkloads(value: Partial<MeshSpec>, path: string): readonly PlacedWorkload[] {
  const own = Array.from(entriesOf(value.workloads), ([index, entry]): PlacedWorkload => ({
    entry,
    service: undefined,
    path: itemPath(`${path}.workloads`, index),
  }))
  const served = Array.from(entriesOf(value.services)).flatMap(([place, owner]) =>
    Array.from(entriesOf(owner.workloads), ([index, entry]): PlacedWorkload => ({
      entry,
      service: owner,
      path: itemPath(`${itemPath(`${path}.services`, place)}.workloads`, index),
    })),
  )
  return [...served, ...own]
}

/** A service's workloads carry its label, or they would not be its own. */
const checkAppLabels: Rule<MeshSpec> = (value, path, reading) => {
  for (const { entry, service: owner, path: at } of placesOfWorkloads(value, path)) {
    const app = entry.labels?.['app']
    if (owner?.name === undefined || app === undefined || app === owner.name) continue
    reading.report(`${at}.labels[app]`, {
      code: 'IST0133',
      severity: 'warning',
      message: `label app is "${app}": the workload does not belong to service "${owner.name}"`,
      remedy: `Remove the label, or write ${owner.name}.`,
    })
  }
}

/** Replicas on one host cannot listen on one port. */
const checkReplicas: Rule<MeshSpec> = (value, path, reading) => {
  for (const { entry, path: at } of placesOfWorkloads(value, path)) {
    if ((entry.replicas ?? 1) < 2 || (entry.port ?? 0) === 0) continue
    reading.report(`${at}.port`, {
      message: `${String(entry.replicas)} replicas cannot all listen on port ${String(entry.port)}`,
      remedy: 'Leave port out: each replica gets a free one as $PORT.',
    })
  }
}

const checkAnnotations: Rule<MeshSpec> = (value, path, reading) => {
  for (const { entry, path: at } of placesOfWorkloads(value, path)) {
    checkProxyAnnotations(entry.annotations, `${at}.annotations`, reading)
  }
}

/** A port of the host that is the same for every workload can belong to one only. */
const checkFixedPorts: Rule<MeshSpec> = (value, path, reading) => {
  const placed = placesOfWorkloads(value, path)
  const replicas = placed.reduce((sum, { entry }) => sum + (entry.replicas ?? 1), 0)
  for (const name of ['statusPort', 'proxyAdminPort'] as const) {
    if (value.meshConfig?.defaultConfig?.[name] !== undefined && replicas > 1) {
      reading.report(`${path}.meshConfig.defaultConfig.${name}`, oneCanHave(name, replicas))
    }
    for (const { entry, path: at } of placed) {
      const own = proxyConfigOfAnnotations(entry.annotations)?.[name]
      if (own === undefined || (entry.replicas ?? 1) < 2) continue
      const place = keyPath(`${at}.annotations`, proxyConfigAnnotation)
      reading.report(place, oneCanHave(name, entry.replicas ?? 1))
    }
  }
}

function oneCanHave(name: string, replicas: number): { message: string; remedy: string } {
  return {
    message: `${name} is a port of the host, and ${String(replicas)} sidecars cannot all have it`,
    remedy: `Set ${name} in the annotation ${proxyConfigAnnotation} of one workload, or leave it out.`,
  }
}

/** Both places are read; two answers would be a riddle. */
const checkTrustDomains: Rule<MeshSpec> = (value, path, reading) => {
  const other = value.meshConfig?.trustDomain
  if (value.trustDomain === undefined || other === undefined || other === value.trustDomain) return
  reading.report(`${path}.meshConfig.trustDomain`, {
    message: `trustDomain is "${clip(value.trustDomain)}" in the mesh, and "${clip(other)}" here`,
    remedy: 'Keep one of the two.',
  })
}

export const meshShape: Shape<MeshSpec> = object<MeshSpec>(
  {
    trustDomain: text(checkTrustDomain),
    meshConfig: meshConfigShape,
    config: list(text(nonEmpty)),
    credentials: text(nonEmpty),
    services: list(service),
    workloads: list(workload),
  },
  checkNames,
  checkAppLabels,
  checkReplicas,
  checkAnnotations,
  checkFixedPorts,
  checkTrustDomains,
)
