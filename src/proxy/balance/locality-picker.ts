/**
 * Locality-weighted balancing: first a locality by its weight, lowered by what part of it cannot be used (with the
 * same overprovisioning as priorities), then a host in it. Envoy's LocalityWrr.
 */
import { type Host, type HostLocality, isExcluded } from '../upstream/host.ts'
import { EdfSchedule } from './edf-schedule.ts'
import {
  type HostPicker,
  type PickerSettings,
  type Round,
  createHostPicker,
} from './host-picker.ts'

export interface LocalityPickerOptions {
  /** All hosts of the priority, and those of them that may be picked. */
  readonly hosts: readonly Host[]
  readonly usable: readonly Host[]
  readonly overprovisioningPercent: number
  readonly settings: PickerSettings
  /** Of the hosts of a locality; `among localities` is how the localities take turns. */
  readonly roundOf: (locality: string) => Round
}

/** Undefined when no locality has weight: then localities play no part. */
export function createLocalityPicker(options: LocalityPickerOptions): HostPicker | undefined {
  const { hosts, usable, settings, overprovisioningPercent, roundOf } = options
  const all = groupByLocality(hosts)
  const weighted: { readonly weight: number; readonly pick: HostPicker }[] = []
  for (const [locality, group] of groupByLocality(usable)) {
    const total = (all.get(locality) ?? group).filter((host) => !isExcluded(host)).length
    if (total === 0) continue
    const ratio = Math.min(1, (overprovisioningPercent / 100) * (group.length / total))
    const weight = (group[0]?.localityWeight ?? 0) * ratio
    if (weight > 0)
      weighted.push({ weight, pick: createHostPicker(group, settings, roundOf(locality)) })
  }
  if (weighted.length === 0) return undefined
  const round = roundOf('among localities')
  const schedule = new EdfSchedule(weighted, (entry) => entry.weight, round.next)
  return () => {
    round.next += 1
    return schedule.pick()?.pick()
  }
}

function groupByLocality(hosts: readonly Host[]): ReadonlyMap<string, readonly Host[]> {
  return Map.groupBy(hosts, (host) => localityKey(host.locality))
}

export function localityKey(locality: HostLocality | undefined): string {
  return locality === undefined ? '' : `${locality.region}/${locality.zone}/${locality.subZone}`
}
