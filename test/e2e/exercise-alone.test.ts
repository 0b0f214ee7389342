/** The exercise's two resources as they stand, where nothing says what v1 and v2 are. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { failuresOf, Load, shareOf } from '../support/load-client.ts'
import { RunningMesh } from '../support/running-mesh.ts'

const url = 'http://my-go-service:8080/'
const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'

const access = 'accessLogFile: /dev/stdout'
const settings = `spec:\n  meshConfig:\n    ${access}\n    accessLogEncoding: JSON\n`

suite("the exercise's two resources alone", { skip }, () => {
  test('subsets are inferred with a warning; without inference requests get 503 NC, as in Istio', async () => {
    await using mesh = await RunningMesh.startChanged((folder) => {
      rmSync(join(folder, 'config/subsets.yaml'))
      const file = join(folder, 'mesh-node.yaml')
      writeFileSync(file, readFileSync(file, 'utf8').replace('spec:\n', settings))
    })
    const proxy = mesh.proxyOf('load')
    const { answers } = await new Load({ proxy, url, total: 1_000 }).end()
    assert.deepEqual(failuresOf(answers), {})
    // Five standard deviations of 1 000 draws.
    assert.ok(Math.abs(shareOf('v2', answers) - 0.1) < 0.048, `v2 got ${shareOf('v2', answers)}`)

    const found = (name: string, code: string) =>
      mesh
        .events(name)
        .filter((event) => event['code'] === code)
        .map(({ severity, file, line, path }) => ({ severity, file, line, path }))
        .sort((one, other) => Number(one.line) - Number(other.line))
    const file = join(mesh.folder, 'config/my-go-service.yaml')
    const places = (severity: string) =>
      [12, 16].map((line, index) => ({
        severity,
        file,
        line,
        path: `spec.http[0].route[${index}].destination.subset`,
      }))
    // A warning at start is told when it has lasted for three seconds.
    await eventually(() => found('issue', 'TUL0013').length === 2, { deadlineMs: 8_000 })
    assert.deepEqual(found('issue', 'TUL0013'), places('warning'))
    const warning = mesh
      .events('issue')
      .find((event) => event['code'] === 'TUL0013' && event['line'] === 12)
    assert.match(String(warning?.['message']), /subset "v1" .* label version=v1 are meant/)
    assert.match(String(warning?.['remedy']), /inferSubsets: false/)

    const meshFile = join(mesh.folder, 'mesh-node.yaml')
    const text = readFileSync(meshFile, 'utf8')
    writeFileSync(meshFile, text.replace(access, `${access}\n    inferSubsets: false`))
    await eventually(() => found('issue', 'IST0101').length === 2, { deadlineMs: 5_000 })
    assert.deepEqual(found('issue', 'IST0101'), places('error'))
    await eventually(async () => {
      const { answers } = await new Load({ proxy, url, total: 20 }).end()
      return answers.every(({ status }) => status === 503)
    })
    await eventually(() =>
      mesh.lines.some(
        ({ process, line }) =>
          process === 'load' && /"response_code":503,.*"response_flags":"NC"/.test(String(line)),
      ),
    )
  })
})
