/** Active health checks that a DestinationRule's annotation asks for, through the sidecars of a whole mesh. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { RunningMesh } from '../support/running-mesh.ts'

const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'
const cluster = 'outbound|8080|v2|my-go-service.default.svc.cluster.local'

suite('health checks', { skip }, () => {
  let mesh: RunningMesh
  before(async () => {
    mesh = await RunningMesh.startChanged((folder) => {
      const file = join(folder, 'config/my-go-service.yaml')
      const rule = /(kind: DestinationRule\nmetadata:\n {2}name: my-go-service\n)/
      const yaml = readFileSync(file, 'utf8')
      assert.match(yaml, rule)
      const annotations =
        '  annotations:\n    tulle.dev/health-check: http:/healthz\n    tulle.dev/health-check-interval: 100ms\n'
      writeFileSync(file, yaml.replace(rule, `$1${annotations}`))
    })
  })
  after(async () => {
    await mesh[Symbol.asyncDispose]()
  })

  const flags = async () => {
    const page = await mesh.read({ admin: 'load' }, '/clusters')
    return page
      .split('\n')
      .filter((line) => line.startsWith(`${cluster}::`) && line.includes('::health_flags::'))
      .map((line) => line.slice(line.lastIndexOf('::') + 2))
  }

  test('endpoints that are well pass, with mutual TLS and HTTP/2 between the sidecars', async () => {
    await eventually(async () => {
      const stats = await mesh.read({ admin: 'load' }, '/stats')
      const counted = (name: string) =>
        Number(
          stats
            .split('\n')
            .find((line) => line.startsWith(`cluster.${cluster}.health_check.${name}: `))
            ?.split(': ')[1],
        )
      assert.ok(counted('success') >= 4, `${counted('success')} of ${counted('attempt')} passed`)
      return true
    })
    assert.deepEqual(await flags(), ['healthy', 'healthy'])
  })
})
