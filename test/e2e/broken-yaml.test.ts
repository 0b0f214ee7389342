/** YAML broken in each way that people break it: what is said, where it is said, and that the split stays. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { failuresOf, Load, shareOf } from '../support/load-client.ts'
import { RunningMesh } from '../support/running-mesh.ts'

const url = 'http://my-go-service:8080/'
const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'

interface Case {
  readonly title: string
  readonly from: string | RegExp
  readonly to: string
  readonly code: string
  readonly line: number
  readonly path: string
  /** Names the value. */
  readonly message: RegExp
  readonly remedy: RegExp
}

const route = 'spec.http[0].route'

const cases: readonly Case[] = [
  {
    title: 'a value of the wrong type',
    from: 'weight: 90',
    to: 'weight: ninety',
    code: 'IST0106',
    line: 13,
    path: `${route}[0].weight`,
    message: /must be a whole number, got the string "ninety"/,
    remedy: /whole number/,
  },
  {
    title: 'a field that is not known',
    from: 'weight: 90',
    to: 'wieght: 90',
    code: 'TUL0010',
    line: 13,
    path: `${route}[0].wieght`,
    message: /unknown field "wieght", did you mean "weight"\?/,
    remedy: /"weight"/,
  },
  {
    title: 'a weight below 0',
    from: 'weight: 10',
    to: 'weight: -10',
    code: 'IST0106',
    line: 17,
    path: `${route}[1].weight`,
    message: /must be 0 or more, got -10/,
    remedy: /0 or more/,
  },
  {
    title: 'weights that add up to 0',
    from: /weight: \d+/g,
    to: 'weight: 0',
    code: 'IST0106',
    line: 9,
    path: route,
    message: /must sum to more than 0, got 0/,
    remedy: /for example 90 and 10/,
  },
  {
    title: 'a host that nobody declares',
    from: 'host: my-go-service',
    to: 'host: my-goo-service',
    code: 'IST0101',
    line: 11,
    path: `${route}[0].destination.host`,
    message: /"my-goo-service\.default\.svc\.cluster\.local"/,
    remedy: /Declare a Service or ServiceEntry/,
  },
  {
    title: 'a subset that nobody names',
    from: 'subset: v2',
    to: 'subset: v3',
    code: 'IST0101',
    line: 16,
    path: `${route}[1].destination.subset`,
    message: /my-go-service\.default\.svc\.cluster\.local\+v3/,
    remedy: /Add the subset v3/,
  },
  {
    title: 'a file that ends in the middle of a name',
    from: /baseEjection[^]*$/,
    to: 'baseEj',
    code: 'TUL0001',
    line: 29,
    path: '',
    message: /a name without a value/,
    remedy: /finish the line/,
  },
]

interface Finding {
  readonly code: string
  readonly severity: string
  readonly file: string
  readonly line: number
  readonly path: string
  readonly message: string
  readonly remedy: string
}

suite('broken YAML', { skip }, () => {
  let mesh: RunningMesh
  let file = ''
  let good = ''
  before(async () => {
    mesh = await RunningMesh.start()
    file = join(mesh.folder, 'config/my-go-service.yaml')
    good = readFileSync(file, 'utf8')
  })
  after(async () => {
    await mesh[Symbol.asyncDispose]()
  })

  const errorsIn = (findings: readonly Finding[]) =>
    findings.filter(({ severity }) => severity === 'error')

  /** The split goes on as it was, and nobody is refused. */
  const assertSplit = async () => {
    const { answers } = await new Load({ proxy: mesh.proxyOf('load'), url, total: 300 }).end()
    assert.deepEqual(failuresOf(answers), {})
    // Five standard deviations of 300 draws.
    assert.ok(Math.abs(shareOf('v2', answers) - 0.1) < 0.087)
  }

  for (const { title, from, to, message, remedy, ...expected } of cases) {
    test(`${title} is named with its place and a remedy, and the split stays`, async () => {
      const told = mesh.lines.length
      writeFileSync(file, good.replace(from, to))
      const logged = await eventually(() =>
        errorsIn(
          mesh.lines
            .slice(told)
            .filter(({ event }) => event === 'issue')
            // Its other fields are those of an issue.
            .map((event) => event as unknown as Finding),
        ).at(0),
      )
      const [listed, analysed] = await Promise.all([
        mesh.tulle('get', 'issues', '-o', 'json'),
        mesh.tulle('analyze', '-o', 'json', join(mesh.folder, 'mesh-node.yaml')),
        assertSplit(),
      ])
      assert.equal(analysed.code, 1)
      const { items } = JSON.parse(listed.out) as { items: { issue: Finding }[] }
      const found = [
        [logged],
        errorsIn(items.map(({ issue }) => issue)),
        errorsIn(JSON.parse(analysed.out) as Finding[]),
      ]
      for (const [first, ...others] of found) {
        assert.deepEqual(others, [], 'one mistake is one error')
        assert.ok(first)
        const { code, line, path } = first
        assert.deepEqual({ code, line, path }, expected)
        assert.equal(first.file, file)
        assert.match(first.message, message)
        assert.match(first.remedy, remedy)
      }
    })
  }

  test('what an editor has half written is not believed before it stays', async () => {
    writeFileSync(file, good)
    const solved = () =>
      mesh.events('issue-solved').filter((event) => event['severity'] === 'error').length
    await eventually(() => solved() === cases.length)
    const told = mesh.lines.length
    const edited = good.replace('weight: 90', 'weight: 50').replace('weight: 10', 'weight: 50')
    await using load = new Load({ proxy: mesh.proxyOf('load'), url, connections: 4 })
    // Truncated, then written in three pieces with other work in between, as slow editors and copies do.
    for (const share of [0, 0.3, 0.7, 1]) {
      writeFileSync(file, edited.slice(0, edited.length * share))
      const answered = load.answers.length
      await eventually(() => load.answers.length > answered)
    }
    const savedAtMs = performance.now()
    await eventually(() => load.since(savedAtMs + 1_000).length > 500, { deadlineMs: 15_000 })
    await load.stop()
    assert.deepEqual(failuresOf(load.answers), {})
    const after = shareOf('v2', load.since(savedAtMs + 1_000))
    assert.ok(Math.abs(after - 0.5) < 0.12, `v2 got ${after}`)
    const events = mesh.lines.slice(told).filter(({ event }) => event.startsWith('issue'))
    assert.deepEqual(events, [])
  })
})
