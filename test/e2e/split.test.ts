/** The exercise's split, counted, and changed under load. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { failuresOf, Load, shareOf } from '../support/load-client.ts'
import { RunningMesh } from '../support/running-mesh.ts'

const url = 'http://my-go-service:8080/'
const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'

suite('the split', { skip }, () => {
  test('10 000 requests are 90 ± 1 % and 10 ± 1 %, and an edit is in force within a second', async () => {
    await using mesh = await RunningMesh.start()
    const proxy = mesh.proxyOf('load')
    const count = async () => {
      const { answers } = await new Load({ proxy, url, total: 10_000 }).end()
      assert.equal(answers.length, 10_000)
      assert.deepEqual(failuresOf(answers), {})
      return shareOf('v2', answers)
    }
    const shares = [await count()]
    // Each request draws by chance, and one count in a thousand is further off than that: then a second one decides.
    if (isOff(shares[0])) shares.push(await count())
    assert.ok(!isOff(shares.at(-1)), `v2 got ${shares.join(', then ')}`)

    await using load = new Load({ proxy, url })
    await eventually(() => load.answers.length > 500)
    const file = join(mesh.folder, 'config/my-go-service.yaml')
    const yaml = readFileSync(file, 'utf8')
    const savedAtMs = performance.now()
    writeFileSync(
      file,
      yaml.replace('weight: 90', 'weight: 50').replace('weight: 10', 'weight: 50'),
    )
    const sample = () => load.since(savedAtMs + 1_000).slice(0, 2_000)
    await eventually(() => sample().length === 2_000, { deadlineMs: 30_000 })
    await load.stop()
    // Four standard deviations of 2 000 draws, and a half.
    const after = shareOf('v2', sample())
    assert.ok(Math.abs(after - 0.5) < 0.05, `v2 got ${after} from a second after the save`)
    assert.deepEqual(failuresOf(load.answers), {})
  })
})

function isOff(share = Number.NaN): boolean {
  return !(Math.abs(share - 0.1) <= 0.01)
}
