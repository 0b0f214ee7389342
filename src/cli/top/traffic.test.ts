/** Rates, shares and quantiles from two scrapes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Sample } from '../prometheus-text.ts'
import { quantile, scrapeOf, trafficBetween } from './traffic.ts'

function requests(version: string, value: number, labels: Record<string, string> = {}): Sample {
  return {
    name: 'istio_requests_total',
    labels: {
      reporter: 'source',
      destination_service_name: 'shop',
      destination_service_namespace: 'default',
      destination_version: version,
      response_code: '200',
      ...labels,
    },
    value,
  }
}

function bucket(version: string, le: string, value: number): Sample {
  const { labels } = requests(version, 0)
  return { name: 'istio_request_duration_milliseconds_bucket', labels: { ...labels, le }, value }
}

const scrape = (...samples: readonly Sample[]) => scrapeOf(new Map([['sidecar', samples]]))

test('rates and shares come from the growth between two scrapes', () => {
  const before = scrape(requests('v1', 100), requests('v2', 10))
  const after = scrape(requests('v1', 190), requests('v2', 20))
  const rows = trafficBetween(before, after, 2)
  assert.deepEqual(
    rows.map(({ version, requestsPerSecond, share, success }) => [
      version,
      requestsPerSecond,
      share,
      success,
    ]),
    [
      ['v1', 45, 0.9, 1],
      ['v2', 5, 0.1, 1],
    ],
  )
})

test('5xx and requests without an answer count against success; 4xx does not', () => {
  const after = scrape(
    requests('v1', 6),
    requests('v1', 2, { response_code: '404' }),
    requests('v1', 1, { response_code: '503' }),
    requests('v1', 1, { response_code: '0' }),
  )
  const [row] = trafficBetween(scrape(), after, 1)
  assert.equal(row?.success, 0.8)
})

test('what the destination reports is not counted twice', () => {
  const after = scrape(requests('v1', 5), requests('v1', 5, { reporter: 'destination' }))
  assert.equal(trafficBetween(scrape(), after, 1)[0]?.requestsPerSecond, 5)
})

test('a version that nobody called meanwhile has a row without success or latency', () => {
  const [row] = trafficBetween(scrape(requests('v1', 7)), scrape(requests('v1', 7)), 1)
  assert.deepEqual(
    [row?.requestsPerSecond, row?.share, row?.success, row?.p50Ms],
    [0, 0, undefined, undefined],
  )
})

test('a counter that starts again counts from zero', () => {
  const rows = trafficBetween(scrape(requests('v1', 1_000)), scrape(requests('v1', 7)), 1)
  assert.equal(rows[0]?.requestsPerSecond, 7)
})

test('series of two sidecars with the same labels are kept apart', () => {
  const of = (a: number, b: number) =>
    scrapeOf(
      new Map([
        ['one', [requests('v1', a)]],
        ['two', [requests('v1', b)]],
      ]),
    )
  assert.equal(trafficBetween(of(1, 2), of(11, 22), 1)[0]?.requestsPerSecond, 30)
})

test('quantiles are interpolated inside a bucket, and the last bound is the most that is known', () => {
  const buckets = new Map([
    [1, 50],
    [5, 90],
    [10, 100],
    [Infinity, 100],
  ])
  assert.equal(quantile(0.5, buckets), 1)
  assert.equal(quantile(0.7, buckets), 3)
  assert.equal(quantile(0.99, buckets), 9.5)
  assert.equal(
    quantile(
      0.5,
      new Map([
        [1, 0],
        [Infinity, 4],
      ]),
    ),
    1,
  )
  assert.equal(quantile(0.5, new Map()), undefined)
})

test('latency is of the time between the scrapes only', () => {
  const before = scrape(requests('v1', 10), bucket('v1', '1', 10), bucket('v1', '+Inf', 10))
  const after = scrape(
    requests('v1', 20),
    bucket('v1', '1', 10),
    bucket('v1', '5', 10),
    bucket('v1', '+Inf', 20),
  )
  // The series of bound 5 is new: it counts from zero.
  const [row] = trafficBetween(before, after, 1)
  assert.equal(row?.p50Ms, 3)
})
