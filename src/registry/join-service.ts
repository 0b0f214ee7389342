/**
 * What the declarations of one host come to: one service, or several.
 *
 * As in Istio, a service is of one namespace. ServiceEntries of a namespace are one service when they agree on all but
 * their ports (resolution, labels, selector, exportTo): the ports add up, the oldest's first. Those that disagree are
 * services of their own, of which a client sees the first that it may see. A Service or one of the mesh file is never
 * joined by ServiceEntries; where it can be seen it is the one that counts in its namespace.
 *
 * Endpoints belong to the host in its namespace, whoever declares them, and to ports by name.
 */
import { compareText } from '../store/identity.ts'
import type { Declaration } from './declaration.ts'
import type { Member } from './endpoint.ts'
import type { Labels } from './label.ts'
import type { Service, ServicePort } from './service.ts'

/** Services of a host, from its declarations in order. The one that leads has no variant. */
export function joinDeclarations(
  declarations: readonly Declaration[],
  aliases: readonly Alias[],
): readonly Service[] {
  const groups = groupDeclarations(declarations)
  const leading = leadingGroup(groups)
  return groups.map((group) => ({
    ...joinService(group, group === leading ? undefined : group[0]),
    ...aliasFields(aliases),
  }))
}

/** Another name, with the ports that were written for it. */
export interface Alias {
  readonly host: string
  readonly ports: readonly ServicePort[]
}

function aliasFields(aliases: readonly Alias[]): Pick<Service, 'aliases' | 'aliasPorts'> {
  if (aliases.length === 0) return {}
  const only = aliases.flatMap(({ host, ports: [first, ...others] }) =>
    first === undefined || others.length > 0 ? [] : [[host, first.number] as const],
  )
  return {
    aliases: aliases.map(({ host }) => host),
    ...(only.length > 0 && { aliasPorts: Object.fromEntries(only) }),
  }
}

/** Where nothing else decides: what is no ServiceEntry, else the oldest. */
function leadingGroup(groups: readonly Group[]): Group | undefined {
  return groups.find(([first]) => first.kind !== 'ServiceEntry') ?? groups[0]
}

export type Group = readonly [Declaration, ...Declaration[]]

/** Those that are one service together. */
export function groupDeclarations(declarations: readonly Declaration[]): readonly Group[] {
  const groups = new Map<string, [Declaration, ...Declaration[]]>()
  for (const declaration of declarations) {
    const key = groupKey(declaration)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [declaration])
    else group.push(declaration)
  }
  return [...groups.values()]
}

function groupKey({ kind, namespace, resolution, ...rest }: Declaration): string {
  if (kind !== 'ServiceEntry') return JSON.stringify([namespace, resolution])
  const labels = rest.resource?.metadata.labels ?? {}
  const exportTo = [...rest.exportTo].sort()
  return JSON.stringify([
    namespace,
    resolution,
    'ServiceEntry',
    sorted(labels),
    sorted(rest.selector ?? {}),
    exportTo,
  ])
}

function sorted(labels: Labels): readonly (readonly [string, string])[] {
  return Object.entries(labels).sort(([left], [right]) => compareText(left, right))
}

/** Oldest first, then by namespace, as Istio sorts services; then by name. */
export function compareDeclarations(a: Declaration, b: Declaration): number {
  const [ageA, ageB] = [ageOf(a), ageOf(b)]
  if (ageA !== ageB) return ageA - ageB
  return (
    compareText(a.namespace, b.namespace) ||
    compareText(a.resource?.metadata.name ?? '', b.resource?.metadata.name ?? '')
  )
}

function ageOf({ resource }: Declaration): number {
  return resource?.metadata.creationTimestampMs ?? Number.MAX_SAFE_INTEGER
}

/** A Service that the mesh file declares too. */
export function isOverruled(declaration: Declaration, all: readonly Declaration[]): boolean {
  return (
    declaration.kind === 'Service' &&
    all.some(({ kind, namespace }) => kind === 'mesh' && namespace === declaration.namespace)
  )
}

/** The port of a declaration that a service's port stands for: the very same, or the one of its name. */
export function portLike(
  { ports }: Declaration,
  { number, name }: ServicePort,
): ServicePort | undefined {
  const named = ports.filter((port) => port.name === name)
  return named.find((port) => port.number === number) ?? (name === '' ? undefined : named[0])
}

function joinService(declarations: Group, variant: Declaration | undefined): Service {
  const [first] = declarations
  const ports = new Map<number, ServicePort>()
  for (const port of declarations.flatMap((declaration) => declaration.ports)) {
    if (!ports.has(port.number)) ports.set(port.number, port)
  }
  const union = (lists: readonly (readonly string[])[]) => [...new Set(lists.flat())]
  return {
    hostname: first.hostname,
    name: first.name,
    namespace: first.namespace,
    ports: [...ports.values()],
    addresses: union(declarations.map(({ addresses }) => addresses)),
    resolution: first.resolution,
    isMeshExternal: first.isMeshExternal,
    exportTo: first.exportTo,
    subjectAltNames: union(declarations.map(({ subjectAltNames }) => subjectAltNames)),
    ...(first.trafficDistribution && { trafficDistribution: first.trafficDistribution }),
    ...(first.hasClientAffinity === true && { hasClientAffinity: true }),
    ...(first.isNodeLocal === true && { isNodeLocal: true }),
    declaredBy: first.declaredBy,
    ...(first.kind === 'ServiceEntry' && { isServiceEntry: true }),
    ...(variant !== undefined && { variant: variant.declaredBy }),
  }
}

/** What `tulle run --service` declares when nobody else did. */
export function adHocService(hostname: string, members: readonly Member[]): Declaration {
  const [name = hostname] = hostname.split('.')
  const workload = members[0]?.workload
  const namespace = workload?.namespace ?? ''
  return {
    kind: 'ad-hoc',
    hostname,
    name,
    namespace,
    ports: adHocPorts(members),
    selector: undefined,
    fixed: [],
    addresses: [],
    resolution: 'static',
    isMeshExternal: false,
    exportTo: [],
    subjectAltNames: [],
    declaredBy: `workload ${namespace}/${workload?.name ?? ''}`,
    resource: undefined,
    path: '',
  }
}

/** The ports that the workloads themselves name, as HTTP. */
function adHocPorts(members: readonly Member[]): readonly ServicePort[] {
  const ports = new Map<number, ServicePort>()
  for (const { name, appPort, servicePort } of members.flatMap(({ workload }) => workload.ports)) {
    const number = servicePort ?? appPort
    if (ports.has(number)) continue
    ports.set(number, { number, name: name || 'http', protocol: 'http', targetPort: appPort })
  }
  return [...ports.values()].sort((a, b) => a.number - b.number)
}
