/**
 * Buckets of every histogram: Envoy's, which Prometheus sees, and finer ones between them, from which the
 * quantiles of /stats and `tulle top` are read.
 *
 * Envoy keeps 90 buckets a decade (circllhist); 14 a decade bound a quantile's error to a fifth, for 0.9 KB a
 * histogram. Envoy's bounds are all among ours, so what Prometheus scrapes is exact.
 */

/** Envoy's default `histogram_bucket_settings`: upper bounds, in the histogram's own unit. */
export const envoyBounds: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000,
  1_800_000, 3_600_000,
]

const steps = [1, 1.2, 1.5, 1.8, 2, 2.5, 3, 3.6, 4, 5, 6, 7, 8, 9]

/** Upper bounds of our own buckets, ascending; one more bucket takes what is above the last. */
export const fineBounds: Float64Array = Float64Array.from(
  [0.1, 1, 10, 100, 1000, 10_000, 100_000, 1_000_000]
    .flatMap((decade) => steps.map((step) => Math.round(step * decade * 100) / 100))
    .concat(10_000_000),
)

/** Number of cells of a histogram: the buckets, the one above them, and the sum. */
export const histogramCells: number = fineBounds.length + 2
export const overflowCell: number = fineBounds.length
export const sumCell: number = fineBounds.length + 1

/** Envoy's buckets hold values up to and including their bound. */
export function bucketOf(value: number): number {
  let low = 0
  let high = fineBounds.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((fineBounds[middle] as number) < value) low = middle + 1 // in bounds: middle < high
    else high = middle
  }
  return low
}

/** For each of Envoy's bounds, the index of our bucket with the same bound. */
export const envoyBucketEnds: readonly number[] = envoyBounds.map((bound) => bucketOf(bound))

/** The value below which `share` (0 to 1) of what was recorded lies; undefined when there is nothing. */
export function quantile(counts: readonly number[], share: number): number | undefined {
  let total = 0
  for (let index = 0; index <= overflowCell; index += 1) total += counts[index] ?? 0
  if (total === 0) return undefined
  const rank = share * total
  let below = 0
  for (let index = 0; index < overflowCell; index += 1) {
    const inside = counts[index] ?? 0
    const upper = fineBounds[index] ?? 0
    if (inside > 0 && below + inside >= rank) {
      const lower = index === 0 ? 0 : (fineBounds[index - 1] ?? 0)
      return lower + ((upper - lower) * Math.max(0, rank - below)) / inside
    }
    below += inside
  }
  return fineBounds[fineBounds.length - 1]
}
