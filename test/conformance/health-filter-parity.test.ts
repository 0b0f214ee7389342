/** The filter that answers health checks, in a real Envoy and in Tulle: the same statuses, headers, details and flags. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { type OpenProxy, openEnvoy, openTulle } from './parity/open-proxy.ts'
import { type Upstream, openUpstream } from './parity/upstream.ts'
import { sendBytes } from './parity/wire-client.ts'

const envoy = findEnvoy()

interface Case {
  readonly name: string
  readonly listener: keyof typeof filters
  /** Asked one after the other. */
  readonly paths: readonly string[]
  readonly method?: string
}

const filters = {
  plain: 'pass_through_mode: false',
  good: 'pass_through_mode: false, cluster_min_healthy_percentages: {half: {value: 50}, app: {value: 100}}',
  bad: 'pass_through_mode: false, cluster_min_healthy_percentages: {app: {value: 1}, half: {value: 51}}',
  empty: 'pass_through_mode: false, cluster_min_healthy_percentages: {empty: {value: 1}}',
  zero: 'pass_through_mode: false, cluster_min_healthy_percentages: {empty: {value: 0}}',
  nobody: 'pass_through_mode: false, cluster_min_healthy_percentages: {nobody: {value: 0}}',
  pass: 'pass_through_mode: true',
  kept: 'pass_through_mode: true, cache_time: 60s',
} as const

const cases: readonly Case[] = [
  { name: 'a check is answered', listener: 'plain', paths: ['/healthz'] },
  { name: 'a check with a body', listener: 'plain', paths: ['/healthz'], method: 'POST' },
  { name: 'another request goes on', listener: 'plain', paths: ['/other?do=echo'] },
  { name: 'clusters that are well enough', listener: 'good', paths: ['/healthz'] },
  { name: 'a cluster that is not', listener: 'bad', paths: ['/healthz'] },
  { name: 'an empty cluster', listener: 'empty', paths: ['/healthz'] },
  { name: 'an empty cluster that may be', listener: 'zero', paths: ['/healthz'] },
  { name: 'a cluster that there is not', listener: 'nobody', paths: ['/healthz'] },
  { name: 'the application answers', listener: 'pass', paths: ['/healthz', '/healthz'] },
  {
    name: 'an answer is kept',
    listener: 'kept',
    paths: ['/healthz', '/healthz', '/other?do=echo'],
  },
]

interface Told {
  readonly answers: readonly string[]
  readonly log: readonly string[]
}

describe(
  'the health check filter of Envoy and of Tulle',
  { skip: skipUnless(envoy, 'envoy') },
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-health-filter-'))
    const told = { envoy: new Map<string, Told>(), tulle: new Map<string, Told>() }
    let upstream: Upstream

    before(async () => {
      upstream = await openUpstream('a')
      const refused = await freePort()
      for (const which of ['envoy', 'tulle'] as const) {
        const file = join(folder, `${which}.yaml`)
        const log = join(folder, `${which}.log`)
        writeFileSync(log, '')
        writeFileSync(file, bootstrap({ app: upstream.port, refused, log }))
        const listeners = Object.keys(filters).length
        await using proxy =
          which === 'envoy'
            ? await openEnvoy({ envoy: envoy ?? '', file, folder, listeners })
            : await openTulle(file)
        for (const one of cases) told[which].set(one.name, await ask(one, proxy, log))
      }
    })

    after(async () => {
      await upstream[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true })
    })

    for (const { name } of cases) {
      test(name, () => {
        const expected = told.envoy.get(name)
        assert.ok(expected && expected.answers.length > 0)
        assert.deepEqual(told.tulle.get(name), expected)
      })
    }
  },
)

const compared = new Set([
  'x-envoy-upstream-healthchecked-cluster',
  'x-envoy-degraded',
  'content-length',
])

async function ask(one: Case, proxy: OpenProxy, log: string): Promise<Told> {
  const answers: string[] = []
  const from = lines(log).length
  for (const path of one.paths) {
    const body = one.method === 'POST' ? 'content-length: 2\r\n\r\nhi' : '\r\n'
    const bytes = `${one.method ?? 'GET'} ${path} HTTP/1.1\r\nhost: a.test\r\n${body}`
    const { status, headers } = await sendBytes({ port: proxy.ports.get(one.listener) ?? 0, bytes })
    const said = headers.filter(([name]) => compared.has(name) && status !== 200)
    const named = headers.filter(([name]) => name.startsWith('x-envoy-upstream-health'))
    answers.push(JSON.stringify([status, said, named]))
  }
  await eventually(() => lines(log).length >= from + one.paths.length)
  return { answers, log: lines(log).slice(from) }
}

function lines(log: string): readonly string[] {
  return readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
}

function bootstrap(place: { app: number; refused: number; log: string }): string {
  const host = (port: number): string =>
    `{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } } }`
  const out = `{ health_status: UNHEALTHY, endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${place.refused} } } } }`
  const cluster = (name: string, hosts: readonly string[]): string =>
    `  - { name: ${name}, type: STATIC, load_assignment: { cluster_name: ${name}, endpoints: [ { lb_endpoints: [ ${hosts.join(', ')} ] } ] } }`
  const listener = ([name, filter]: readonly [string, string]): string => `
  - name: ${name}
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ${name}
          access_log:
          - name: file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: ${JSON.stringify(place.log)}
              log_format: { text_format_source: { inline_string: "%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%\\n" } }
          http_filters:
          - name: health
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck
              ${filter.split(/, (?=\w+:(?! \{value))/).join('\n              ')}
              headers: [ { name: ":path", string_match: { exact: /healthz } } ]
          - name: router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [ { match: { prefix: / }, route: { cluster: app } } ]`
  return `
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
node: { id: me, cluster: my-cluster }
static_resources:
  listeners:${Object.entries(filters).map(listener).join('')}
  clusters:
${cluster('app', [host(place.app)])}
${cluster('half', [host(place.app), out])}
${cluster('empty', [])}
`
}
