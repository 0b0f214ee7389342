/**
 * Durations as configuration writes them: protobuf's JSON form is seconds (`1.5s`), and Kubernetes' CRDs and
 * Istio's own parser also take Go's (`1h30m`, `250ms`). Parsed specs keep the text; this reads it.
 */

const unitMs: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ns: 1e-6,
}

const wholePattern = /^([+-]?)((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/
const partPattern = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g

/** Milliseconds of `10s`, `1h30m`, `1.5ms`, `0`; undefined when the text is no duration. */
export function parseDurationMs(text: string): number | undefined {
  if (text === '0' || text === '+0' || text === '-0') return 0
  const whole = wholePattern.exec(text)
  if (whole === null) return undefined
  let total = 0
  for (const [, amount = '', unit = ''] of (whole[2] ?? '').matchAll(partPattern)) {
    total += Number(amount) * (unitMs[unit] ?? Number.NaN)
  }
  // Six decimals are nanoseconds: this takes away what binary fractions added.
  const rounded = Math.round(total * 1e6) / 1e6
  return whole[1] === '-' ? -rounded : rounded
}

/** As `parseDurationMs`, for text that validation has let through. */
export function durationMs(text: string): number {
  return parseDurationMs(text) ?? 0
}
