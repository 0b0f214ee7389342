/** `tulle up` on the example, as a new user sees it: the split, an edit, the end. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'

import { eventually } from '../support/eventually.ts'
import { goClient } from '../support/go-client.ts'
import { isRunning } from '../support/process-table.ts'
import { findEnvoy, findProgram, skipUnless } from '../support/programs.ts'
import { RunningMesh, sendRequests, type Answers } from '../support/running-mesh.ts'

const url = 'http://my-go-service:8080/'
const pythonClient = `import urllib.request as r; print(r.urlopen('${url}').status)`
const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'

function shareOf(version: string, { versions }: Answers): number {
  const total = [...versions.values()].reduce((sum, count) => sum + count, 0)
  return (versions.get(version) ?? 0) / total
}

function proxyOf(mesh: RunningMesh): string {
  const { proxy } = mesh.workload('load')
  assert.ok(proxy)
  return proxy
}

suite('the example', { skip }, () => {
  test('splits 90 to 10, follows an edit without a failure, and ends without a trace', async () => {
    await using mesh = await RunningMesh.start()
    const before = await sendRequests(proxyOf(mesh), url, 2_000)
    assert.deepEqual(before.failures, [])
    // Four standard deviations of a binomial with 2 000 draws.
    assert.ok(Math.abs(shareOf('v2', before) - 0.1) < 0.027, `v2 got ${shareOf('v2', before)}`)

    const file = join(mesh.folder, 'config/my-go-service.yaml')
    const yaml = readFileSync(file, 'utf8')
    writeFileSync(
      file,
      yaml.replace('weight: 90', 'weight: 50').replace('weight: 10', 'weight: 50'),
    )
    const failures: string[] = []
    await eventually(
      async () => {
        const answers = await sendRequests(proxyOf(mesh), url, 200)
        failures.push(...answers.failures)
        return shareOf('v2', answers) > 0.36
      },
      { deadlineMs: 5_000 },
    )
    assert.deepEqual(failures, [])

    const processes = mesh.processes()
    assert.ok(processes.length >= 10, `found ${processes.length} processes`)
    const began = performance.now()
    assert.equal(await mesh.stop('SIGINT'), 0)
    assert.ok(performance.now() - began < 5_000, 'it ends within five seconds')
    assert.deepEqual(mesh.processes(), [])
  })

  const envoy = findEnvoy()
  test(
    'with a real Envoy as every sidecar the mesh does the same',
    {
      skip: skipUnless(envoy, 'Envoy'),
    },
    async () => {
      await using mesh = await RunningMesh.start('--proxy', 'envoy', '--envoy', envoy ?? '')
      const answers = await sendRequests(proxyOf(mesh), url, 1_000)
      assert.deepEqual(answers.failures, [])
      assert.ok(Math.abs(shareOf('v2', answers) - 0.1) < 0.04, `v2 got ${shareOf('v2', answers)}`)
      assert.equal(await mesh.stop('SIGINT'), 0)
      assert.deepEqual(mesh.processes(), [])
    },
  )

  test('kill -9 of the supervisor leaves no process behind', async () => {
    await using mesh = await RunningMesh.start()
    const processes = mesh.processes()
    process.kill(mesh.pid, 'SIGKILL')
    await eventually(() => !processes.some(isRunning), { deadlineMs: 8_000 })
    assert.deepEqual(mesh.processes(), [])
  })
})

suite('commands inside a running mesh', { skip }, () => {
  let mesh: RunningMesh
  before(async () => {
    mesh = await RunningMesh.start()
  })
  after(async () => {
    await mesh[Symbol.asyncDispose]()
  })

  test('tulle run passes output, errors and the exit code on', async () => {
    const curl = await mesh.tulle('run', '--', 'curl', '-sS', `${url}hello`)
    assert.equal(curl.error, '')
    assert.equal(curl.code, 0)
    const { service, path } = JSON.parse(curl.out) as { service: string; path: string }
    assert.deepEqual({ service, path }, { service: 'my-go-service', path: '/hello' })
    const failing = await mesh.tulle('run', 'sh', '-c', 'echo why >&2; exit 3')
    assert.deepEqual(failing, { code: 3, out: '', error: 'why\n' })
    const missing = await mesh.tulle('run', '--', 'no-such-program')
    assert.equal(missing.code, 127)
    assert.match(missing.error, /cannot start no-such-program: no such program on PATH/)
    for (const [word, reason] of [
      ['./mesh-node.yaml', /cannot start .*: it may not be executed.*\n +next: chmod \+x/],
      ['/', /cannot start \/: it is a folder/],
    ] as const) {
      const refused = await mesh.tulle('run', '--', word.replace('.', mesh.folder))
      assert.equal(refused.code, 126)
      assert.match(refused.error, reason)
    }
  })

  for (const [name, command] of [
    ['Python urllib', ['python3', '-c', pythonClient]],
    ['Node fetch', ['node', '-e', `fetch('${url}').then((r) => console.log(r.status))`]],
    [
      'Node http.get',
      ['node', '-e', `http.get('${url}', (r) => console.log(r.resume().statusCode))`],
    ],
    ['a CONNECT tunnel', ['curl', '-sSp', '-o', '/dev/null', '-w', '%{http_code}\n', url]],
  ] as const) {
    const program = command[0] === 'node' ? process.execPath : findProgram(command[0])
    test(
      `${name} reaches the service by its name`,
      { skip: skipUnless(program, name) },
      async () => {
        const words = [program ?? '', ...command.slice(1)]
        const { out, error } = await mesh.tulle('run', '--', ...words)
        assert.deepEqual({ out, error }, { out: '200\n', error: '' })
      },
    )
  }

  const go = findProgram('go')
  test('Go net/http reaches the service by its name', { skip: skipUnless(go, 'go') }, async () => {
    writeFileSync(join(mesh.folder, 'client.go'), goClient)
    const built = join(mesh.folder, 'go-client')
    await promisify(execFile)(go ?? '', ['build', '-o', built, 'client.go'], { cwd: mesh.folder })
    const { out, error } = await mesh.tulle('run', '--', built, `${url}from-go`)
    assert.equal(error, '')
    assert.match(out, /"path":"\/from-go","headers":\{[^}]*"user-agent":"Go-http-client/)
  })

  test('a second tulle up of the same mesh is refused, and says which process runs', async () => {
    const second = await mesh.tulle('up', join(mesh.folder, 'mesh-node.yaml'))
    assert.equal(second.code, 2)
    assert.match(second.error, new RegExp(`runs already \\(process ${mesh.pid},`))
  })

  test('every view of the mesh has its table', async () => {
    for (const [words, header] of [
      [['status'], /^NAMESPACE +NAME +PRESENCE/],
      [['get', 'vs'], /^NAMESPACE +NAME +HOSTS/],
      [['get', 'workloads'], /my-go-service-v2-2 +connected +healthy/],
      [['get', 'services.tulle.dev'], /my-go-service\.default\.svc\.cluster\.local +8080 +3\/3/],
      [['get', 'issues'], /my-go-service\.yaml:27:7: warning IST0133/],
      [['describe', 'dr', 'my-go-service'], /declared in .*my-go-service\.yaml:19\n/],
      [
        ['proxy-config', 'routes', 'load'],
        /outbound\|8080\|v1\|\S+ 90, outbound\|8080\|v2\|\S+ 10/,
      ],
      [['proxy-config', 'bootstrap', 'load'], /xds-grpc/],
    ] as const) {
      const { out, error, code } = await mesh.tulle(...words)
      assert.deepEqual({ error, code }, { error: '', code: 0 }, words.join(' '))
      assert.match(out, header)
    }
  })

  test('an object that is not there is an error with its name', async () => {
    const { code, error } = await mesh.tulle('get', 'vs', 'nobody')
    assert.equal(code, 1)
    assert.match(error, /nobody/)
  })
})
