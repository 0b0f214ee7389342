/** Reads the list that a registration log keeps. The file is ours, and yet may be cut short, old or edited. */
import type { Member } from './endpoint.ts'
import type { Labels } from './label.ts'
import type { Workload, WorkloadPort } from './service.ts'

export type ParsedRegistrations =
  | { readonly ok: true; readonly members: readonly Member[] }
  | { readonly ok: false; readonly reason: string }

export function parseRegistrations(text: string): ParsedRegistrations {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return { ok: false, reason: String(error) }
  }
  if (!isRecord(value) || value['version'] !== 1 || !Array.isArray(value['registrations'])) {
    return { ok: false, reason: 'expected { version: 1, registrations: […] }' }
  }
  const members: Member[] = []
  for (const [index, item] of value['registrations'].entries()) {
    const member = memberOf(item)
    if (member === undefined) return { ok: false, reason: `registrations[${index}] is malformed` }
    members.push(member)
  }
  return { ok: true, members }
}

function memberOf(value: unknown): Member | undefined {
  if (!isRecord(value) || !isRecord(value['workload'])) return undefined
  const workload = workloadOf(value['workload'])
  const { portMap, hasOwnPorts, directHost } = value
  if (workload === undefined || typeof hasOwnPorts !== 'boolean' || !isNumbers(portMap))
    return undefined
  if (directHost !== undefined && typeof directHost !== 'string') return undefined
  return { workload, portMap, hasOwnPorts, directHost }
}

const texts = [
  'id',
  'name',
  'namespace',
  'serviceAccount',
  'address',
  'healthMessage',
  'locality',
  'network',
  'cluster',
] as const

function workloadOf(value: Readonly<Record<string, unknown>>): Workload | undefined {
  const read = Object.fromEntries(texts.map((key) => [key, value[key]]))
  const { labels, ports, health, weight } = value
  if (!texts.every((key) => typeof read[key] === 'string')) return undefined
  if (!isTexts(labels) || !Array.isArray(ports) || !ports.every(isPort)) return undefined
  if (typeof weight !== 'number') return undefined
  return {
    // Every member of `texts` was found to be text.
    ...(read as Readonly<Record<(typeof texts)[number], string>>),
    labels,
    ports: ports.map(({ name, appPort, meshPort, servicePort }) => ({
      name,
      appPort,
      meshPort,
      servicePort,
    })),
    health: health === 'unhealthy' ? 'unhealthy' : 'healthy',
    presence: 'restored',
    weight,
  }
}

function isPort(value: unknown): value is WorkloadPort {
  if (!isRecord(value) || typeof value['name'] !== 'string') return false
  const { appPort, meshPort, servicePort } = value
  const isOptional = servicePort === undefined || typeof servicePort === 'number'
  return typeof appPort === 'number' && typeof meshPort === 'number' && isOptional
}

function isTexts(value: unknown): value is Labels {
  return isRecord(value) && Object.values(value).every((item) => typeof item === 'string')
}

function isNumbers(value: unknown): value is Readonly<Record<string, number>> {
  return isRecord(value) && Object.values(value).every((item) => typeof item === 'number')
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
