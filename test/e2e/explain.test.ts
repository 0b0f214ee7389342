/** `tulle explain` in a running mesh: the rule's file and line, and each endpoint as its caller's sidecar sees it. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'

import type { ExplainReport } from '../../src/cli/explain/explain-report.ts'
import type { Issue } from '../../src/model/issue.ts'
import { eventually } from '../support/eventually.ts'
import { RunningMesh, sendRequests } from '../support/running-mesh.ts'

const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'
const url = 'http://my-go-service:8080/'

suite('explain', { skip }, () => {
  let mesh: RunningMesh
  before(async () => {
    mesh = await RunningMesh.startChanged(keepVirtualServicesHome)
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

  test('shows a name that the sidecar cannot resolve, and that the request would fail', async () => {
    const file = join(mesh.folder, 'config/nowhere.yaml')
    writeFileSync(
      file,
      `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: nowhere }
spec:
  hosts: [nowhere.invalid]
  ports: [{ number: 80, name: http, protocol: HTTP }]
  resolution: DNS
`,
    )
    await eventually(async () => {
      const { report, code } = await explain('GET', 'http://nowhere.invalid/', '--from', 'load')
      const { action, verdict } = report
      if (action?.kind !== 'forward') return false
      const [endpoint] = action.destinations.flatMap(({ endpoints }) => endpoints)
      if (endpoint === undefined) return false
      assert.deepEqual([endpoint.health, verdict.outcome, code], ['not resolved', 'fails', 1])
      return true
    })
    rmSync(file)
  })

  test('what analyze finds, the running mesh shows, until it is suppressed', async () => {
    const file = join(mesh.folder, 'config/extra.yaml')
    const write = (annotations: string) =>
      writeFileSync(
        file,
        `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: extra, annotations: { ${annotations} } }
spec:
  hosts: [extra.test]
  gateways: [nobody, mesh]
  http:
  - route: [{ destination: { host: my-go-service, port: { number: 999 } } }]
`,
      )
    const codes = async () => {
      const { out } = await mesh.tulle('get', 'issues', '-o', 'json')
      const { items } = JSON.parse(out) as { items: { issue: Issue }[] }
      return items
        .filter(({ issue }) => issue.file === file && issue.severity === 'error')
        .map(({ issue }) => `${issue.code} ${issue.path}`)
        .sort()
    }
    write('')
    const expected = [
      'IST0101 spec.gateways[0]',
      'IST0101 spec.http[0].route[0].destination.port.number',
    ]
    await eventually(async () => isDeepStrictEqual(await codes(), expected), {
      deadlineMs: 15_000,
      intervalMs: 100,
    })
    const analyzed = await mesh.tulle('analyze', '-o', 'json', join(mesh.folder, 'mesh-node.yaml'))
    const same = (JSON.parse(analyzed.out) as Issue[]).filter(
      (issue) => issue.file === file && issue.severity === 'error',
    )
    assert.deepEqual(same.map(({ code, path }) => `${code} ${path}`).sort(), expected)
    write("galley.istio.io/analyze-suppress: 'IST0101'")
    await eventually(async () => (await codes()).length === 0, {
      deadlineMs: 15_000,
      intervalMs: 100,
    })
    rmSync(file)
  })

  test('says that a VirtualService is not exported by default', async () => {
    const file = join(mesh.folder, 'config/foreign.yaml')
    writeFileSync(
      file,
      `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: foreign, namespace: elsewhere }
spec:
  hosts: [my-go-service.default.svc.cluster.local]
  http: [{ directResponse: { status: 299 } }]
`,
    )
    await eventually(
      async () => {
        const { report } = await explain('GET', url, '--from', 'load')
        const reason = 'it is exported to ., and not to namespace default'
        return report.passedOver.some((one) => one.file === file && one.reason === reason)
      },
      { deadlineMs: 15_000, intervalMs: 100 },
    )
    rmSync(file)
  })

  test('says who does not exist', async () => {
    const { code, error } = await mesh.tulle('explain', 'GET', url, '--from', 'nobody')
    assert.equal(code, 2)
    assert.match(error, /no sidecar of nobody is connected/)
  })
})

function keepVirtualServicesHome(folder: string): void {
  const file = join(folder, 'mesh-node.yaml')
  const config = 'meshConfig: { defaultVirtualServiceExportTo: ["."] }'
  writeFileSync(file, readFileSync(file, 'utf8').replace('\nspec:\n', `\nspec:\n  ${config}\n`))
}
