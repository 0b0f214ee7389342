/**
 * Picks among the hosts of one list by one policy. Lists are rebuilt when hosts change; what must outlive that
 * (where a round stands) is kept by the caller.
 */
import { unreachable } from '../../lib/assert.ts'
import type { Random } from '../../lib/random.ts'
import type { Host } from '../upstream/host.ts'
import { EdfSchedule } from './edf-schedule.ts'
import type { SlowStart } from './slow-start.ts'

export type BalancingPolicy = 'round-robin' | 'least-request' | 'random'

export interface PickerSettings {
  readonly policy: BalancingPolicy
  /** least-request: how many hosts are drawn, with repetition. */
  readonly choiceCount: number
  /** least-request with unequal weights: exponent of the active requests. */
  readonly activeRequestBias: number
  readonly random: Random
  readonly slowStart?: SlowStart | undefined
  /** least-request: looks at every host instead of drawing some. */
  readonly isFullScan?: boolean | undefined
}

/** Where a round robin stands; survives a change of hosts. */
export interface Round {
  next: number
}

export type HostPicker = () => Host | undefined

export function createHostPicker(
  hosts: readonly Host[],
  settings: PickerSettings,
  round: Round,
): HostPicker {
  const [only] = hosts
  if (hosts.length < 2) return () => only
  switch (settings.policy) {
    case 'random':
      // Envoy's random ignores weights.
      return () => hosts[Math.floor(settings.random() * hosts.length)]
    case 'round-robin':
      if (isEven(hosts, settings)) return () => hosts[round.next++ % hosts.length]
      return scheduled(
        hosts,
        round,
        warming(settings, (host) => host.weight),
      )
    case 'least-request': {
      if (isEven(hosts, settings)) return leastOf(hosts, settings)
      const bias = settings.activeRequestBias
      return scheduled(
        hosts,
        round,
        warming(settings, (host) => biasedWeight(host, bias)),
      )
    }
    default:
      return unreachable(settings.policy)
  }
}

type WeightOf = (host: Host) => number

/** Whether no schedule is needed: while a host warms up, weights differ whatever EDS says. */
function isEven(hosts: readonly Host[], { slowStart }: PickerSettings): boolean {
  return hasEqualWeights(hosts) && slowStart?.isActive !== true
}

function warming({ slowStart }: PickerSettings, weightOf: WeightOf): WeightOf {
  if (slowStart === undefined) return weightOf
  return (host) => slowStart.weigh(host, weightOf(host))
}

function hasEqualWeights(hosts: readonly Host[]): boolean {
  const weight = hosts[0]?.weight
  return hosts.every((host) => host.weight === weight)
}

/**
 * Stands where the round stands, so that many proxies do not all begin with the same host, and a host of little weight
 * is not passed over each time that hosts change.
 */
function scheduled(hosts: readonly Host[], round: Round, weightOf: WeightOf): HostPicker {
  const schedule = new EdfSchedule(hosts, weightOf, round.next)
  return () => {
    round.next += 1
    return schedule.pick()
  }
}

function biasedWeight(host: Host, bias: number): number {
  if (bias === 0) return host.weight
  const active = Math.max(0, host.stats.rqActive.value()) + 1
  return bias === 1 ? host.weight / active : host.weight / active ** bias
}

/** The least busy of so many draws; of equals the one drawn first. */
function leastOf(hosts: readonly Host[], settings: PickerSettings): HostPicker {
  const { random, choiceCount } = settings
  if (settings.isFullScan === true) return () => leastOfAll(hosts, random)
  return () => {
    let best: Host | undefined
    let bestActive = Number.POSITIVE_INFINITY
    for (let drawn = 0; drawn < choiceCount; drawn += 1) {
      const host = hosts[Math.floor(random() * hosts.length)]
      const active = host?.stats.rqActive.value() ?? Number.POSITIVE_INFINITY
      if (best !== undefined && active >= bestActive) continue
      best = host
      bestActive = active
    }
    return best
  }
}

/** The least busy of all; of equals each with the same chance. */
function leastOfAll(hosts: readonly Host[], random: Random): Host | undefined {
  let best: Host | undefined
  let bestActive = Number.POSITIVE_INFINITY
  let equals = 0
  for (const host of hosts) {
    const active = host.stats.rqActive.value()
    if (active > bestActive) continue
    equals = active < bestActive ? 1 : equals + 1
    bestActive = active
    if (random() * equals < 1) best = host
  }
  return best
}
