/** `tulle analyze` on the example and on files with mistakes. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { runCli } from '../../../test/support/cli-context.ts'
import type { Issue } from '../../model/issue.ts'

const example = join(import.meta.dirname, '../../../examples/my-go-service')

function scene(files: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-analyze-'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return {
    folder,
    async issues(...words: readonly string[]) {
      const run = await runCli(['analyze', '-o', 'json', ...words, folder])
      return { exitCode: run.exitCode, issues: JSON.parse(run.out) as Issue[] }
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

for (const file of ['mesh.yaml', 'mesh-node.yaml']) {
  test(`the example's ${file} has one warning, for the deprecated field, and exit code 0`, async () => {
    const run = await runCli(['analyze', '-o', 'json', join(example, file)])
    const issues = JSON.parse(run.out) as Issue[]
    assert.deepEqual(
      issues.map(({ code, severity, line, path }) => ({ code, severity, line, path })),
      [
        {
          code: 'IST0133',
          severity: 'warning',
          line: 27,
          path: 'spec.trafficPolicy.outlierDetection.consecutiveErrors',
        },
      ],
    )
    assert.equal(run.exitCode, 0)
  })
}

test('--failure-threshold warning makes the warning count', async () => {
  const run = await runCli([
    'analyze',
    '--failure-threshold',
    'warning',
    join(example, 'mesh.yaml'),
  ])
  assert.equal(run.exitCode, 1)
  assert.match(run.out, /my-go-service\.yaml:27:7: warning IST0133:[^]*next: [^]*\n1 warning\n$/)
})

test('an issue has all its fields, and its file as it was given', async () => {
  using mesh = scene({
    'route.yaml': [
      'apiVersion: networking.istio.io/v1',
      'kind: VirtualService',
      'metadata: { name: r }',
      'spec:',
      '  hosts: [shop]',
      '  http:',
      '  - route:',
      '    - destination: { host: nowhere }',
      '',
    ].join('\n'),
  })
  const { exitCode, issues } = await mesh.issues()
  assert.equal(exitCode, 1)
  const found = issues.find(({ code }) => code === 'IST0101')
  assert.ok(found)
  const { message, remedy, column, ...rest } = found
  assert.deepEqual(rest, {
    code: 'IST0101',
    severity: 'error',
    file: join(mesh.folder, 'route.yaml'),
    line: 8,
    resource: 'VirtualService default/r',
    path: 'spec.http[0].route[0].destination.host',
  })
  assert.match(message, /nowhere/)
  assert.ok(remedy.length > 0 && column > 0)
})

test('one bad file never hides the others', async () => {
  using mesh = scene({
    'a.yaml': 'kind: [',
    'b.yaml':
      'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: d }\nspec: { hots: x }\n',
  })
  const { exitCode, issues } = await mesh.issues()
  assert.equal(exitCode, 1)
  const files = new Set(issues.map(({ file }) => file.slice(-6)))
  assert.deepEqual([...files].sort(), ['a.yaml', 'b.yaml'])
})

test('a path that is not there is an error that names it', async () => {
  const run = await runCli(['analyze', '/no/such/folder'])
  assert.equal(run.exitCode, 1)
  assert.match(run.out, /\/no\/such\/folder/)
})

test('- is standard input, beside files or alone', async () => {
  using mesh = scene({
    'a.yaml':
      'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: d }\nspec: { host: x.example }\n',
  })
  const input =
    'apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: { name: x }\n' +
    'spec: { hosts: [x.example], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS }\n'
  const both = await runCli(['analyze', mesh.folder, '-'], { input })
  assert.deepEqual([both.exitCode, both.out], [0, 'no problems in 2 resources\n'])
  const alone = await runCli(['analyze', '-o', 'json', '-'], { input: 'kind: [' })
  assert.equal(alone.exitCode, 1)
  assert.equal((JSON.parse(alone.out) as { file: string }[])[0]?.file, '-')
})

test('nothing wrong is said in words', async () => {
  using mesh = scene({})
  const run = await runCli(['analyze', mesh.folder])
  assert.deepEqual([run.exitCode, run.out], [0, 'no problems in 0 resources\n'])
})

test('where no file declares a service, the mesh file is asked for', async () => {
  const alone = await runCli(['analyze', join(example, 'config')])
  assert.match(alone.out, /\n2 errors, 3 warnings\nNone of these files declares a service\. .*mesh/)
  const whole = await runCli(['analyze', join(example, 'mesh.yaml'), join(example, 'config')])
  assert.doesNotMatch(whole.out, /declares a service/)
})
