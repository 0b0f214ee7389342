/** Locality and zone settings of a load balancer: shares by locality, regions to fail over to, label priorities. */
import { nonEmpty } from '../schema/format.ts'
import { entriesOf, excludes } from '../schema/rule.ts'
import { bool, int, list, mapOf, object, refine, text, uint32Max } from '../schema/shape.ts'
import type { Reading, Rule, Shape } from '../schema/shape.ts'
import { fieldPath, itemPath, keyPath } from '../schema/source-node.ts'
import type {
  LocalityDistribute,
  LocalityFailover,
  LocalityLbSetting,
  ZoneAwareLbSetting,
} from './destination-rule.ts'

const topologyLabels: ReadonlySet<string> = new Set([
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.istio.io/subzone',
])

export function localityLbSetting(): Shape<LocalityLbSetting> {
  return object<LocalityLbSetting>(
    {
      enabled: bool(),
      distribute: refine(list(distribute()), checkSources),
      failover: list(failover()),
      failoverPriority: list(text(nonEmpty)),
    },
    excludes<LocalityLbSetting>('distribute', 'failover'),
    checkPriorities,
  )
}

export function zoneAwareLbSetting(): Shape<ZoneAwareLbSetting> {
  return object<ZoneAwareLbSetting>(
    {
      enabled: bool(),
      failover: list(failover()),
      failoverPriority: list(text(nonEmpty)),
      minClusterSize: int({ min: 0, max: uint32Max }),
    },
    (value, path, reading) => {
      reportTopologyLabels(value.failoverPriority, path, reading)
    },
  )
}

/** Regions come from failover then; the same labels in failoverPriority would say it twice. */
const checkPriorities: Rule<LocalityLbSetting> = (value, path, reading) => {
  if ((value.failover ?? []).length > 0) {
    reportTopologyLabels(value.failoverPriority, path, reading)
  }
}

function reportTopologyLabels(
  priorities: readonly string[] | undefined,
  path: string,
  reading: Reading,
): void {
  for (const [index, label] of entriesOf(priorities)) {
    if (!topologyLabels.has(label)) continue
    reading.report(itemPath(fieldPath(path, 'failoverPriority'), index), {
      message: `${label} cannot be a priority here: regions and zones are ordered already`,
      remedy: 'Remove it.',
    })
  }
}

function failover(): Shape<LocalityFailover> {
  return object<LocalityFailover>({ from: text(), to: text() }, (value, path, reading) => {
    if (value.from === value.to) {
      reading.report(path, {
        message: `from and to must be different regions, got "${value.from ?? ''}"`,
        remedy: 'Name another region to fail over to.',
      })
    }
    for (const name of ['from', 'to'] as const) checkRegion(value[name], `${path}.${name}`, reading)
  })
}

function checkRegion(region: string | undefined, path: string, reading: Reading): void {
  if (region === undefined || !/[/*]/.test(region)) return
  reading.report(path, {
    message: `must be a region, without zone or wildcard, got "${region}"`,
    remedy: 'Name a region only.',
  })
}

function distribute(): Shape<LocalityDistribute> {
  return object<LocalityDistribute>(
    { from: text(), to: mapOf(int({ min: 1, max: 100 })) },
    (value, path, reading) => {
      const shares = Object.entries(value.to ?? {})
      const total = shares.reduce((sum, [, share]) => sum + share, 0)
      if (total !== 100) {
        reading.report(`${path}.to`, {
          message: `shares must sum to 100, got ${String(total)}`,
          remedy: 'Correct the shares.',
        })
      }
      const places = shares.map(([locality]): Place => [locality, keyPath(`${path}.to`, locality)])
      checkLocalities(places, reading)
    },
  )
}

function checkSources(
  entries: readonly LocalityDistribute[],
  path: string,
  reading: Reading,
): void {
  const places = Array.from(entriesOf(entries), ([index, { from }]): Place => [
    from ?? '',
    `${itemPath(path, index)}.from`,
  ])
  checkLocalities(places, reading)
}

type Place = readonly [locality: string, path: string]

/** `region/zone/subzone`, a wildcard only at the end, none within another. */
function checkLocalities(places: readonly Place[], reading: Reading): void {
  const earlier: string[][] = []
  for (const [locality, path] of places) {
    const parts = locality.split('/')
    const fault = localityFault(locality, parts, earlier)
    if (fault !== undefined) {
      reading.report(path, {
        message: fault,
        remedy: 'Write region, region/zone or region/zone/*.',
      })
    }
    earlier.push(parts)
  }
}

function localityFault(
  locality: string,
  parts: readonly string[],
  earlier: readonly (readonly string[])[],
): string | undefined {
  if (/\*.*\*|\*./.test(locality))
    return `a wildcard must be the end of a locality, got "${locality}"`
  if (parts.includes('')) return `a locality must have no empty part, got "${locality}"`
  const cover = earlier.find((other) => areOverlapping(other, parts))
  return cover === undefined
    ? undefined
    : `locality "${locality}" overlaps with "${cover.join('/')}" before it`
}

function areOverlapping(one: readonly string[], other: readonly string[]): boolean {
  const length = Math.min(one.length, other.length)
  for (let index = 0; index < length; index++) {
    const [a, b] = [one[index], other[index]]
    if (a === '*' || b === '*') return true
    if (a !== b) return false
  }
  return true
}
