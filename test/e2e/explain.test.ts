/** `tulle explain` in a running mesh: the rule's file and line, and each endpoint as its caller's sidecar sees it. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import type { ExplainReport } from '../../src/cli/explain/explain-report.ts'
import { eventually } from '../support/eventually.ts'
import { RunningMesh, sendRequests } from '../support/running-mesh.ts'

const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'
const url = 'http://my-go-service:8080/'

suite('explain', { skip }, () => {
  let mesh: RunningMesh
  before(async () => {
    mesh = await RunningMesh.start()
  })
  after(async () => {
    await mesh[Symbol.asyncDispose]()
  })

  const explain = async (...words: readonly string[]) => {
    const { code, out, error } = await mesh.tulle('explain', ...words, '-o', 'json')
    assert.equal(error, '')
    return { code, report: JSON.parse(out) as ExplainReport }
  }

  const endpointsOf = (report: ExplainReport, subset: string) => {
    assert.ok(report.action?.kind === 'forward')
    return report.action.destinations.find((one) => one.subset === subset)?.endpoints ?? []
  }

  test('names the rule in the file, the split and the rule of the destination', async () => {
    const { code, report } = await explain('GET', url, '--from', 'load')
    assert.equal(code, 0)
    const rule = report.rules.find(({ outcome }) => outcome === 'matched')
    assert.deepEqual(rule?.source, {
      resource: 'VirtualService default/my-go-service',
      file: join(mesh.folder, 'config/my-go-service.yaml'),
      line: 9,
      path: 'spec.http[0]',
    })
    assert.ok(report.action?.kind === 'forward')
    assert.deepEqual(
      report.action.destinations.map(({ subset, share }) => [subset, share]),
      [
        ['v1', 90],
        ['v2', 10],
      ],
    )
    assert.equal(report.sources[0]?.resource, 'DestinationRule default/my-go-service')
    assert.deepEqual(
      endpointsOf(report, 'v1').map(({ health, security }) => [health, security]),
      [['healthy', 'mutual TLS']],
    )
  })

  test('shows an endpoint that the sidecar has ejected', async () => {
    await mesh.behave('my-go-service-v2-1', 'failRate=1')
    const { mesh: address } = mesh.workload('my-go-service-v2-1').ports[0] ?? {}
    await eventually(
      async () => {
        await sendRequests(mesh.proxyOf('load'), url, 200)
        const { report } = await explain('GET', url, '--from', 'load')
        return endpointsOf(report, 'v2').some(
          (endpoint) => endpoint.address === address && endpoint.health === 'ejected',
        )
      },
      { deadlineMs: 30_000, intervalMs: 200 },
    )
    await mesh.behave('my-go-service-v2-1', 'failRate=0')
  })

  test('says who does not exist', async () => {
    const { code, error } = await mesh.tulle('explain', 'GET', url, '--from', 'nobody')
    assert.equal(code, 2)
    assert.match(error, /no sidecar of nobody is connected/)
  })
})
