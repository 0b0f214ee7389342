/** The filter by itself: what it answers, keeps, and says while the proxy is told to fail. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { requestRecord } from '../../../test/support/request-record.ts'
import { HeaderList } from '../http/header-list.ts'
import type { ResponseHead } from '../http/message.ts'
import type { ClusterSet } from '../upstream/cluster.ts'
import { HealthCheckFilter, type HealthCheckFilterSettings } from './health-check-filter.ts'
import type { FilterContext, FilterVerdict } from './http-filter.ts'

const base: HealthCheckFilterSettings = {
  passesThrough: false,
  cacheMs: 0,
  clusters: [],
  matchers: [({ path }) => path === '/healthz'],
}

/** By cluster: its hosts, and those of them that may be used. */
type Members = Readonly<Record<string, readonly [total: number, usable: number]>>

function scene(settings: Partial<HealthCheckFilterSettings> = {}, members: Members = {}) {
  const clusters: ClusterSet = {
    get(name) {
      const counts = members[name]
      if (counts === undefined) return undefined
      const [total, usable] = counts
      const hosts = Array.from({ length: total }, (_, index) => ({
        isAvailable: () => index < usable,
      }))
      return { hosts } as unknown as ReturnType<ClusterSet['get']> // only its hosts are asked
    },
  }
  const state = { nowMs: 0, isFailing: false }
  const filter = new HealthCheckFilter({
    name: 'hc',
    isOffByDefault: false,
    settings: { ...base, ...settings },
    nowMs: () => state.nowMs,
    isFailing: () => state.isFailing,
    clusters,
    nodeCluster: 'here',
  })
  const context = (path: string): FilterContext => {
    const record = requestRecord({ flags: '-' })
    record.request.path = path
    // The filter reads the request and the record only.
    return { request: record.request, record } as unknown as FilterContext
  }
  return {
    state,
    filter,
    /** What the filter does about a request; the status of its answer, or that it goes on. */
    ask(path = '/healthz'): string {
      const one = context(path)
      const verdict = filter.onRequest(one)
      const { status, details } = answered(verdict)
      if (typeof verdict === 'object' && 'answer' in verdict) filter.onResponse(one, verdict.answer)
      return `${status} ${details}${one.record.flags === '-' ? '' : ` ${one.record.flags}`}`
    },
    /** A request that goes on, and what the filter adds to its response. */
    pass(path: string, status = 200, headers: Readonly<Record<string, string>> = {}) {
      const one = context(path)
      assert.equal(filter.onRequest(one), 'continue')
      const response: ResponseHead = {
        status,
        headers: new HeaderList(),
        bodyLength: 0,
        protocol: 'HTTP/1.1',
      }
      for (const [name, value] of Object.entries(headers)) response.headers.append(name, value)
      filter.onResponse(one, response)
      return response.headers
    },
  }
}

function answered(verdict: FilterVerdict): { status: string; details: string } {
  if (typeof verdict === 'string') return { status: verdict, details: '' }
  assert.ok('answer' in verdict)
  return { status: String(verdict.answer.status), details: verdict.details }
}

test('checks are answered here; other requests go on', () => {
  const one = scene()
  assert.equal(one.ask(), '200 health_check_ok')
  assert.equal(one.ask('/'), 'continue ')
})

test('a proxy that is told to fail answers checks with 503, in every mode', () => {
  for (const settings of [{}, { passesThrough: true }, { passesThrough: true, cacheMs: 1_000 }]) {
    const one = scene(settings)
    one.state.isFailing = true
    assert.equal(one.ask(), '503 health_check_failed LH')
  }
})

test('and tells who asks for anything else that it goes', () => {
  const one = scene()
  const name = 'x-envoy-immediate-health-check-fail'
  assert.equal(one.pass('/').has(name), false)
  one.state.isFailing = true
  assert.equal(one.pass('/').get(name), 'true')
})

test('clusters must be well enough, all of them', () => {
  const least = (...clusters: (readonly [string, number])[]) =>
    scene({ clusters }, { a: [4, 2], empty: [0, 0] }).ask()
  assert.equal(least(['a', 50]), '200 health_check_ok_cluster_healthy')
  assert.equal(least(['a', 51]), '503 health_check_failed_cluster_unhealthy LH')
  assert.equal(least(['a', 50], ['none', 0]), '503 health_check_failed_no_cluster_found LH')
  assert.equal(least(['empty', 1]), '503 health_check_failed_cluster_empty LH')
  assert.equal(least(['empty', 0]), '200 health_check_ok_cluster_healthy')
})

test('what passes through is the application’s answer, with the name of the cluster', () => {
  const one = scene({ passesThrough: true })
  assert.equal(one.pass('/healthz', 503).get('x-envoy-upstream-healthchecked-cluster'), 'here')
  assert.equal(one.pass('/').has('x-envoy-upstream-healthchecked-cluster'), false)
})

test('an answer of the application stands until the period ends', () => {
  const one = scene({ passesThrough: true, cacheMs: 1_000 })
  one.pass('/healthz', 503)
  one.state.nowMs = 999
  assert.equal(one.ask(), '503 health_check_cached LH')
  one.state.nowMs = 1_000
  one.pass('/healthz', 200, { 'x-envoy-degraded': '' })
  assert.equal(one.ask(), '200 health_check_cached')
  one.state.nowMs = 2_500
  assert.equal(one.ask(), 'continue ')
})
