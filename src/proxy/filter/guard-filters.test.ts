/** Local rate limits over time, and what is refused of the filters that count, hold and limit. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { envoyMessage } from '../../../test/support/envoy-message.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { seededRandom } from '../../lib/random.ts'
import { compileListener } from '../config/compile-listener.ts'
import { noRuntime } from '../config/runtime-values.ts'
import { TokenBucket } from './token-bucket.ts'

const ext = 'type.googleapis.com/envoy.extensions.filters'

test('tokens flow in at a steady rate, up to the ceiling', () => {
  const clock = new FakeClock()
  const bucket = new TokenBucket({ tokensMax: 2, tokensPerMs: 1 / 100 }, clock)
  assert.deepEqual([bucket.take(), bucket.take(), bucket.take()], [true, true, false])
  clock.advance(99)
  assert.equal(bucket.take(), false)
  clock.advance(1)
  assert.deepEqual([bucket.take(), bucket.take()], [true, false])
  clock.advance(10_000)
  assert.deepEqual([bucket.take(), bucket.take(), bucket.take()], [true, true, false])
})

function reasonsOf(filters: string, network = ''): readonly string[] {
  const text = `
name: l
address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
filter_chains:
- filters:
  ${network}
  - name: hcm
    typed_config:
      "@type": ${ext}.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: s
      route_config: { name: r }
      http_filters:
      ${filters}
      - { name: router, typed_config: { "@type": ${ext}.http.router.v3.Router } }
`
  const result = compileListener(envoyMessage.listener(text), {
    random: seededRandom(1),
    hostname: 'h',
    runtime: noRuntime,
  })
  return result.ok ? [] : result.reasons
}

const limit = (fields: string): string =>
  `- { name: f, typed_config: { "@type": ${ext}.http.local_ratelimit.v3.LocalRateLimit, ${fields} } }`
const buffer = (fields: string): string =>
  `- { name: f, typed_config: { "@type": ${ext}.http.buffer.v3.Buffer${fields} } }`
const grpcStats = (fields: string): string =>
  `- { name: f, typed_config: { "@type": ${ext}.http.grpc_stats.v3.FilterConfig, ${fields} } }`
const ceiling = (fields: string): string =>
  `- { name: f, typed_config: { "@type": ${ext}.network.connection_limit.v3.ConnectionLimit, ${fields} } }`
const rate = (fields: string): string =>
  `- { name: f, typed_config: { "@type": ${ext}.network.local_ratelimit.v3.LocalRateLimit, ${fields} } }`

const tokens = 'token_bucket: { max_tokens: 1, fill_interval: 1s }'

test('what is right is taken', () => {
  assert.deepEqual(reasonsOf(limit(`stat_prefix: s, ${tokens}`)), [])
  assert.deepEqual(reasonsOf(buffer(', max_request_bytes: 1')), [])
  assert.deepEqual(reasonsOf(grpcStats('stats_for_all_methods: true')), [])
  assert.deepEqual(reasonsOf('', ceiling('stat_prefix: s, max_connections: 1, delay: 1s')), [])
  assert.deepEqual(reasonsOf('', rate(`stat_prefix: s, ${tokens}`)), [])
})

for (const { name, reasons, wanted } of [
  { name: 'no prefix', reasons: reasonsOf(limit(tokens)), wanted: /stat_prefix: value length/ },
  {
    name: 'no tokens',
    reasons: reasonsOf(limit('stat_prefix: s, token_bucket: { fill_interval: 1s }')),
    wanted: /token_bucket\.max_tokens: value must be greater than 0/,
  },
  {
    name: 'no interval',
    reasons: reasonsOf(limit('stat_prefix: s, token_bucket: { max_tokens: 1 }')),
    wanted: /fill_interval: is required/,
  },
  {
    name: 'an interval too short',
    reasons: reasonsOf(
      limit('stat_prefix: s, token_bucket: { max_tokens: 1, fill_interval: 0.01s }'),
    ),
    wanted: /fill_interval: .*>= 50ms/,
  },
  {
    name: 'no tokens a fill',
    reasons: reasonsOf(
      limit(
        'stat_prefix: s, token_bucket: { max_tokens: 1, tokens_per_fill: 0, fill_interval: 1s }',
      ),
    ),
    wanted: /tokens_per_fill: value must be greater than 0/,
  },
  {
    name: 'descriptors',
    reasons: reasonsOf(
      limit(`stat_prefix: s, descriptors: [{ entries: [{ key: a, value: b }], ${tokens} }]`),
    ),
    wanted: /descriptors: descriptors are not implemented/,
  },
  {
    name: 'a limit for each connection',
    reasons: reasonsOf(limit('stat_prefix: s, local_rate_limit_per_downstream_connection: true')),
    wanted: /a bucket for each connection is not implemented/,
  },
  {
    name: 'no size of the buffer',
    reasons: reasonsOf(buffer('')),
    wanted: /max_request_bytes: value must be greater than 0/,
  },
  {
    name: 'a service without methods',
    reasons: reasonsOf(
      grpcStats('individual_method_stats_allowlist: { services: [{ name: a.B }] }'),
    ),
    wanted: /services\[0\]\.method_names: value must contain at least 1 item/,
  },
  {
    name: 'no connections',
    reasons: reasonsOf('', ceiling('stat_prefix: s')),
    wanted: /max_connections: value must be greater than or equal to 1/,
  },
  {
    name: 'no prefix of a ceiling',
    reasons: reasonsOf('', ceiling('max_connections: 1')),
    wanted: /stat_prefix: value length/,
  },
  {
    name: 'no bucket of a rate',
    reasons: reasonsOf('', rate('stat_prefix: s')),
    wanted: /token_bucket: is required/,
  },
  {
    name: 'a shared bucket',
    reasons: reasonsOf('', rate(`stat_prefix: s, share_key: k, ${tokens}`)),
    wanted: /share_key: sharing a bucket/,
  },
]) {
  test(`${name}: refused`, () => assert.match(reasons.join('; '), wanted))
}
