/** What people are told about a sidecar on demand: what it has, and what a first call would bring. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'

import type { ExplainReport } from '../../src/cli/explain/explain-report.ts'
import { httpRequestThrough } from '../support/absolute-form.ts'
import { runCli } from '../support/cli-context.ts'
import { openControlPlaneScene, type ControlPlaneScene } from '../support/control-plane-scene.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { runTulle, type RunningProxy } from '../support/mtls-scene.ts'
import { hostname, meshYaml, onDemandBootstrap, serviceYaml } from '../support/on-demand-scene.ts'
import { openNamedUpstream, type NamedUpstream } from '../support/sidecar-scene.ts'

suite('on demand, explained', () => {
  let plane: ControlPlaneScene
  let upstream: NamedUpstream
  let proxy: RunningProxy
  let proxyPort: number
  let from: string

  before(async () => {
    upstream = await openNamedUpstream('v1')
    const route = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews, namespace: default }
spec:
  hosts: [${hostname('reviews')}]
  http:
  - match: [{ headers: { x-user: { exact: jason } } }]
    timeout: 3s
    route: [{ destination: { host: ${hostname('ratings')} } }]
  - route: [{ destination: { host: ${hostname('reviews')} } }]
`
    plane = await openControlPlaneScene({
      'mesh.yaml': meshYaml('REGISTRY_ONLY'),
      'config/services.yaml': [
        serviceYaml('reviews', upstream.port),
        serviceYaml('ratings', upstream.port),
      ].join('---'),
      'config/route.yaml': route,
    })
    const admin = `127.0.0.1:${await freePort()}`
    proxyPort = await freePort()
    from = `caller-${proxyPort}`
    const xds = plane.controlPlane.plaintextXdsAddress
    proxy = await runTulle(onDemandBootstrap(xds, proxyPort, { ADMIN_ADDRESS: admin }))
    await eventually(async () => (await proxy.get('/ready')).includes('LIVE'))
  })

  after(async () => {
    await proxy[Symbol.asyncDispose]()
    await plane[Symbol.asyncDispose]()
    await upstream[Symbol.asyncDispose]()
  })

  const tulle = (...words: readonly string[]) =>
    runCli([...words, '--api', plane.controlPlane.apiUrl])

  async function explain(url: string, ...words: readonly string[]) {
    const run = await tulle('explain', 'GET', url, '--from', from, ...words, '-o', 'json')
    assert.equal(run.error, '')
    return { exitCode: run.exitCode, report: JSON.parse(run.out) as ExplainReport }
  }

  const countOf = async (): Promise<string> =>
    (await proxy.get('/stats?filter=on_demand')).replaceAll(/wait_ms.*/g, '')

  test('a host that was not called is explained as the first call would find it, and stays uncalled', async () => {
    const before = await countOf()
    const { exitCode, report } = await explain('http://reviews:8080/', '-H', 'x-user: jason')
    assert.equal(exitCode, 0)
    assert.equal(report.fetchedOnFirstCall, true)
    assert.equal(report.verdict.outcome, 'forwarded')
    assert.ok(report.action?.kind === 'forward')
    assert.equal(report.action.timeoutMs, 3_000)
    const [destination] = report.action.destinations
    assert.equal(destination?.host, hostname('ratings'))
    assert.deepEqual(
      destination.endpoints.map(({ address }) => address),
      [`127.0.0.1:${upstream.port}`],
    )
    const rule = report.rules.find(({ outcome }) => outcome === 'matched')
    assert.equal(rule?.source?.path, 'spec.http[0].match[0]')
    assert.equal(await countOf(), before)
  })

  test('people are told that it waits', async () => {
    const run = await tulle('explain', 'GET', 'http://reviews:8080/', '--from', from)
    assert.match(run.out, /not called before: fetched on the first call/)
    assert.match(run.out, /verdict +forwarded/)
  })

  test('a host that nobody knows is refused as the mesh says', async () => {
    const { exitCode, report } = await explain('http://nobody.test/')
    assert.equal(exitCode, 1)
    assert.equal(report.fetchedOnFirstCall, true)
    assert.deepEqual([report.verdict.outcome, report.verdict.status], ['fails', 502])
  })

  test('proxy-config shows what it has, says that more may come, and what a first call brings', async () => {
    const now = await tulle('proxy-config', 'clusters', from)
    assert.equal(now.out.includes(hostname('ratings')), false)
    assert.match(now.out, /on demand: what it has not called is not here/)
    const words = ['proxy-config', 'clusters', from, '--first-call', 'ratings:8080']
    const brought = await tulle(...words)
    assert.match(brought.out, /ratings\.default\.svc\.cluster\.local/)
    assert.equal(brought.out.includes(hostname('reviews')), false)
    const bad = await tulle('proxy-config', 'clusters', from, '--first-call', 'a/b')
    assert.match(bad.error, /host: expected a host, with a port or without, got "a\/b"/)
  })

  test('once it is called the sidecar itself is asked', async () => {
    assert.equal((await httpRequestThrough(proxyPort, 'ratings:8080')).status, 200)
    const { report } = await explain('http://ratings:8080/')
    assert.equal(report.fetchedOnFirstCall, undefined)
    assert.equal(report.verdict.outcome, 'forwarded')
    const now = await tulle('proxy-config', 'clusters', from)
    assert.match(now.out, /ratings\.default\.svc\.cluster\.local/)
  })

  test('while the control plane is away what was called serves on, and the rest answers 503', async () => {
    assert.equal((await httpRequestThrough(proxyPort, 'ratings:8080')).status, 200)
    await plane.controlPlane.close()
    const [known, unknown] = await Promise.all([
      httpRequestThrough(proxyPort, 'ratings:8080'),
      httpRequestThrough(proxyPort, 'reviews:8080'),
    ])
    assert.deepEqual([known.status, unknown.status], [200, 503])
  })
})
