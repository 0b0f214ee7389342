/**
 * Success rates by interval, and the two judgements over them: a host far below the others (mean minus so many
 * standard deviations), and a host whose share of failures is too high by itself.
 */
import type { HostTally, TallyCell } from './host-tally.ts'
import type { OutlierSettings, RateThreshold } from './outlier-detector.ts'

/** Successes of one host: the interval that runs, and the one before it, which is judged. */
export class SuccessRate {
  /** Percent over the last interval if it had enough traffic to be judged, otherwise -1. */
  shownRate = -1
  readonly #tally: HostTally
  readonly #total: TallyCell
  readonly #successes: TallyCell
  #lastTotal = 0
  #lastSuccesses = 0

  constructor(tally: HostTally, total: TallyCell, successes: TallyCell) {
    this.#tally = tally
    this.#total = total
    this.#successes = successes
  }

  count(success: boolean): void {
    this.#tally.add(this.#total)
    if (success) this.#tally.add(this.#successes)
  }

  /** The interval is over. */
  turn(): void {
    // In this order, so that an answer between the two is no success more than there were answers.
    this.#lastSuccesses = this.#tally.take(this.#successes)
    this.#lastTotal = this.#tally.take(this.#total)
    this.shownRate = -1
  }

  /** Requests of the last interval. */
  get volume(): number {
    return this.#lastTotal
  }

  /** Percent of the last interval. */
  get percent(): number {
    return (this.#lastSuccesses * 100) / this.#lastTotal
  }
}

interface Rated {
  readonly rate: SuccessRate
}

export interface Judgement<T> {
  readonly subject: T
  readonly kind: 'success_rate' | 'failure_percentage'
}

export const noThreshold: RateThreshold = { average: -1, threshold: -1 }

export interface Judged<T> {
  readonly judgements: readonly Judgement<T>[]
  readonly compared: RateThreshold
}

/** The outliers among the hosts that are in; `hostsTotal` counts the ejected ones too, as Envoy does. */
export function judgeRates<T extends Rated>(
  rated: readonly T[],
  hostsTotal: number,
  settings: OutlierSettings,
): Judged<T> {
  const hostsMin = Math.min(
    settings.successRateMinimumHosts,
    settings.failurePercentageMinimumHosts,
  )
  if (hostsTotal < hostsMin) return { judgements: [], compared: noThreshold }
  const shownFrom = Math.min(
    settings.successRateRequestVolume,
    settings.failurePercentageRequestVolume,
  )
  const counted = rated.filter(({ rate }) => rate.volume > 0)
  for (const { rate } of counted) if (rate.volume >= shownFrom) rate.shownRate = rate.percent
  const compared = compareRates(counted, settings)
  return {
    judgements: [
      ...farBelowOthers(counted, compared, settings),
      ...failTooOften(counted, settings),
    ],
    compared,
  }
}

function withVolume<T extends Rated>(counted: readonly T[], volume: number): readonly T[] {
  return counted.filter(({ rate }) => rate.volume >= volume)
}

function compareRates(counted: readonly Rated[], settings: OutlierSettings): RateThreshold {
  const valid = withVolume(counted, settings.successRateRequestVolume)
  if (valid.length === 0 || valid.length < settings.successRateMinimumHosts) return noThreshold
  const average = valid.reduce((sum, { rate }) => sum + rate.percent, 0) / valid.length
  const variance =
    valid.reduce((sum, { rate }) => sum + (rate.percent - average) ** 2, 0) / valid.length
  const threshold = average - (settings.successRateStdevFactor / 1000) * Math.sqrt(variance)
  return { average, threshold }
}

function farBelowOthers<T extends Rated>(
  counted: readonly T[],
  compared: RateThreshold,
  settings: OutlierSettings,
): readonly Judgement<T>[] {
  if (compared === noThreshold) return []
  return withVolume(counted, settings.successRateRequestVolume)
    .filter(({ rate }) => rate.percent < compared.threshold)
    .map((subject) => ({ subject, kind: 'success_rate' }))
}

function failTooOften<T extends Rated>(
  counted: readonly T[],
  settings: OutlierSettings,
): readonly Judgement<T>[] {
  const valid = counted.filter(({ rate }) => rate.volume >= settings.failurePercentageRequestVolume)
  if (valid.length === 0 || valid.length < settings.failurePercentageMinimumHosts) return []
  return valid
    .filter(({ rate }) => 100 - rate.percent >= settings.failurePercentageThreshold)
    .map((subject) => ({ subject, kind: 'failure_percentage' }))
}
