/**
 * What `tulle top` shows, worked out from two scrapes of the sidecars: rate, success and latency of each service
 * and version, as the callers' sidecars saw them (`reporter="source"`).
 */
import type { Sample } from '../prometheus-text.ts'

export const trafficMetrics: ReadonlySet<string> = new Set([
  'istio_requests_total',
  'istio_request_duration_milliseconds_bucket',
])

export interface TrafficRow {
  readonly service: string
  readonly namespace: string
  readonly version: string
  readonly requestsPerSecond: number
  /** Of the service's requests, from 0 to 1. */
  readonly share: number
  /** Answers below 500, from 0 to 1; undefined without requests. */
  readonly success: number | undefined
  /** Undefined without requests; Infinity above the largest bucket. */
  readonly p50Ms: number | undefined
  readonly p99Ms: number | undefined
}

/** Counters by series, so that a second scrape can be compared with it. */
export type Scrape = ReadonlyMap<string, Sample>

/** Puts samples of several sidecars together; `source` keeps series of different sidecars apart. */
export function scrapeOf(samplesBySource: ReadonlyMap<string, readonly Sample[]>): Scrape {
  const scrape = new Map<string, Sample>()
  for (const [source, samples] of samplesBySource) {
    for (const sample of samples) {
      if (sample.labels['reporter'] !== 'source') continue
      scrape.set(`${source} ${sample.name} ${JSON.stringify(sample.labels)}`, sample)
    }
  }
  return scrape
}

interface Sums {
  readonly service: string
  readonly namespace: string
  readonly version: string
  requests: number
  failures: number
  /** Requests at or below each bound, in milliseconds. */
  readonly buckets: Map<number, number>
}

/** A version that was called before and not since has a row with rate 0. */
export function trafficBetween(before: Scrape, after: Scrape, seconds: number): TrafficRow[] {
  const sums = new Map<string, Sums>()
  for (const [series, sample] of after) {
    const growth = growthOf(before.get(series), sample)
    addGrowth(sumsOf(sums, sample), sample, growth)
  }
  const totals = new Map<string, number>()
  for (const { service, namespace, requests } of sums.values()) {
    const key = `${namespace}/${service}`
    totals.set(key, (totals.get(key) ?? 0) + requests)
  }
  return [...sums.values()]
    .map((sum) => toRow(sum, totals.get(`${sum.namespace}/${sum.service}`) ?? 0, seconds))
    .sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1))
}

/** A counter that shrank belongs to a process that was started again: what it holds is new. */
function growthOf(before: Sample | undefined, after: Sample): number {
  const start = before?.value ?? 0
  return after.value >= start ? after.value - start : after.value
}

function sumsOf(sums: Map<string, Sums>, { labels }: Sample): Sums {
  const service = labels['destination_service_name'] ?? 'unknown'
  const namespace = labels['destination_service_namespace'] ?? 'unknown'
  const version = labels['destination_version'] ?? 'unknown'
  const key = `${namespace}/${service}/${version}`
  const found = sums.get(key)
  if (found !== undefined) return found
  const made = { service, namespace, version, requests: 0, failures: 0, buckets: new Map() }
  sums.set(key, made)
  return made
}

function addGrowth(sum: Sums, sample: Sample, growth: number): void {
  if (sample.name === 'istio_requests_total') {
    sum.requests += growth
    const status = Number(sample.labels['response_code'])
    // 0: the caller got no answer at all.
    if (status === 0 || status >= 500) sum.failures += growth
    return
  }
  const bound = sample.labels['le'] === '+Inf' ? Infinity : Number(sample.labels['le'])
  sum.buckets.set(bound, (sum.buckets.get(bound) ?? 0) + growth)
}

function toRow(sum: Sums, total: number, seconds: number): TrafficRow {
  const { service, namespace, version, requests, failures, buckets } = sum
  return {
    service,
    namespace,
    version,
    requestsPerSecond: requests / seconds,
    share: total === 0 ? 0 : requests / total,
    success: requests === 0 ? undefined : 1 - failures / requests,
    p50Ms: quantile(0.5, buckets),
    p99Ms: quantile(0.99, buckets),
  }
}

/** As Prometheus' histogram_quantile: linear inside a bucket, the largest bound above it. */
export function quantile(rank: number, buckets: ReadonlyMap<number, number>): number | undefined {
  const bounds = [...buckets].sort(([a], [b]) => a - b)
  const total = bounds.at(-1)?.[1] ?? 0
  if (total === 0) return undefined
  const wanted = rank * total
  let lowBound = 0
  let lowCount = 0
  for (const [bound, count] of bounds) {
    if (count >= wanted) {
      if (bound === Infinity) return lowBound
      return (
        lowBound + ((bound - lowBound) * (wanted - lowCount)) / Math.max(count - lowCount, 1e-9)
      )
    }
    lowBound = bound
    lowCount = count
  }
  return lowBound
}

function sortKey(row: TrafficRow): string {
  return `${row.namespace}/${row.service}/${row.version}`
}
