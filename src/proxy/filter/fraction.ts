/** Envoy's fractional percentages, compiled to a draw. */
import type { Random } from '../../lib/random.ts'
import {
  FractionalPercent_DenominatorType as Denominator,
  type FractionalPercent,
} from '../../xds/proto/generated/envoy/type/v3/percent.ts'

export interface Fraction {
  readonly numerator: number
  readonly denominator: number
}

export const never: Fraction = { numerator: 0, denominator: 100 }
export const always: Fraction = { numerator: 100, denominator: 100 }

/** An absent percentage is none, as protobuf's default. */
export function fractionOf(percent: FractionalPercent | undefined): Fraction {
  if (percent === undefined) return never
  return { numerator: percent.numerator, denominator: denominators[percent.denominator] ?? 100 }
}

const denominators: Readonly<Record<number, number>> = {
  [Denominator.HUNDRED]: 100,
  [Denominator.TEN_THOUSAND]: 10_000,
  [Denominator.MILLION]: 1_000_000,
}

/** Chance is asked only where it decides. */
export function draws({ numerator, denominator }: Fraction, random: Random): boolean {
  if (numerator === 0) return false
  return numerator >= denominator || Math.floor(random() * denominator) < numerator
}
