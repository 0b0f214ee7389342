/** What the variables of capture mode `env` are; test/integration proves that real clients follow them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MeshError } from '../lib/mesh-error.ts'
import { captureEnvironment, upstreamVariable } from './environment.ts'

const options = { mode: 'env', httpProxyPort: 20001, upstreams: [], base: {} } as const

test('plain HTTP goes to the sidecar and the host itself does not', () => {
  const env = captureEnvironment(options)
  assert.equal(env['HTTP_PROXY'], 'http://127.0.0.1:20001')
  assert.equal(env['http_proxy'], 'http://127.0.0.1:20001')
  assert.equal(env['NO_PROXY'], 'localhost,127.0.0.1,::1')
  assert.equal(env['NODE_USE_ENV_PROXY'], '1')
})

test('TLS and SOCKS are left as the user has them', () => {
  const env = captureEnvironment({ ...options, base: { HTTPS_PROXY: 'http://corp:3128' } })
  for (const name of ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy']) {
    assert.equal(name in env, false)
  }
})

test('hosts that the user exempted stay exempt, once each', () => {
  const base = { NO_PROXY: 'corp.example, localhost', no_proxy: '10.0.0.1,corp.example' }
  const env = captureEnvironment({ ...options, base })
  assert.equal(env['NO_PROXY'], 'localhost,127.0.0.1,::1,corp.example,10.0.0.1')
  assert.equal(env['no_proxy'], env['NO_PROXY'])
})

test('options that the user gave the JVM stay in front of ours', () => {
  const env = captureEnvironment({ ...options, base: { JAVA_TOOL_OPTIONS: '-Xmx64m' } })
  assert.equal(
    env['JAVA_TOOL_OPTIONS'],
    '-Xmx64m -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=20001 -Dhttp.nonProxyHosts=localhost|127.*|[::1]',
  )
})

test('each upstream has a variable with its localhost port', () => {
  const upstreams = [{ host: 'postgres.db', port: 5432, localPort: 20005 }]
  assert.deepEqual(captureEnvironment({ ...options, mode: 'none', upstreams }), {
    POSTGRES_DB_5432_ADDRESS: '127.0.0.1:20005',
  })
  assert.equal(upstreamVariable('my-db', 1), 'MY_DB_1_ADDRESS')
})

for (const mode of ['netns', 'redirect'] as const) {
  test(`mode ${mode} says that it is not implemented yet`, () => {
    assert.throws(
      () => captureEnvironment({ ...options, mode }),
      (error) =>
        error instanceof MeshError &&
        error.code === 'MESH_NOT_IMPLEMENTED' &&
        error.message.includes(mode),
    )
  })
}
