/** From the flags of `tulle run` to the plan of a workload. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { recordingTerminal } from '../../../test/support/recording-terminal.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import { FlagValues } from '../command.ts'
import { planRun, tellWhatIsWaitedFor } from './run.ts'

function plan(flags: Readonly<Record<string, unknown>>, words: readonly string[] = ['curl', 'x']) {
  const context = {
    env: { TULLE_HOME: '/home' },
    cwd: '/here',
    terminal: recordingTerminal(),
    readInput: () => Promise.resolve(''),
    self: [],
    onStop: () => ({ [Symbol.dispose]() {} }),
    supervisor: undefined,
  }
  const values = new FlagValues({ controlPlane: '10.0.0.1:15010', ...flags })
  return planRun({ arguments: words, flags: values, context }, () => 0.5)
}

test('a client has no ports, a name of its own for each run, and keeps nothing', () => {
  const { instance, workload, ports, isStateKept, labels, controlPlane, application } = plan({})
  assert.deepEqual(
    [workload, ports, isStateKept, controlPlane],
    ['curl', [], false, '10.0.0.1:15010'],
  )
  assert.match(instance, /^curl-[a-z0-9]{5}$/)
  assert.deepEqual(labels, { app: 'curl' })
  assert.deepEqual([application.command, application.isExpanded], [['curl', 'x'], false])
})

test('an endpoint of a service has its ports and labels', () => {
  const { service, ports, labels } = plan({
    service: 'shop',
    port: ['80', '90:9000', '91:0'],
    label: ['version=v3', 'a=b.c'],
  })
  assert.equal(service, 'shop')
  assert.deepEqual(
    ports.map(({ servicePort, appPort }) => [servicePort, appPort]),
    [
      [80, 80],
      [90, 9000],
      [91, 0],
    ],
  )
  assert.equal(new Set(ports.map(({ name }) => name)).size, 3)
  assert.deepEqual(labels, { app: 'shop', version: 'v3', a: 'b.c' })
})

test('one with a name keeps its folder and ports for the next time', () => {
  const { instance, isStateKept, stateFolder } = plan({ name: 'me' })
  assert.deepEqual(
    [instance, isStateKept, stateFolder],
    ['me', true, '/home/state/remote/default/me'],
  )
})

for (const [flags, message] of [
  [{ service: 'shop' }, /--service needs --port/],
  [{ port: ['80'] }, /--port needs --service/],
  [{ service: 'shop', port: ['0'] }, /expected PORT or PORT:APP, got 0/],
  [{ service: 'shop', port: ['80:70000'] }, /expected PORT or PORT:APP/],
  [{ label: ['v1'] }, /expected key=value, got v1/],
  [{ label: ['a b=c'] }, /--label: must be a label key/],
  [{ label: ['a=b c'] }, /--label a: must be a label value/],
  [{ name: 'bad name' }, /--name: must be a DNS label/],
  [{ name: 'a'.repeat(64) }, /--name: must be a DNS label/],
  [{ service: 'Bad Svc', port: ['80'] }, /--service: must be a DNS name/],
  [{ serviceAccount: 'a/b' }, /--service-account: must be a DNS name/],
  [{ controlPlane: 'nowhere' }, /expected host:port, got nowhere/],
] as const) {
  test(`${JSON.stringify(flags)} is misuse`, () => {
    assert.throws(
      () => plan(flags),
      (error) =>
        error instanceof MeshError && error.code === 'MESH_USAGE' && message.test(error.message),
    )
  })
}

for (const [protocol, names] of [
  [undefined, ['http', 'http-81']],
  ['grpc', ['grpc', 'grpc-81']],
  ['auto', ['port', 'port-81']],
] as const) {
  test(`ports of protocol ${protocol ?? 'none'} are named for it`, () => {
    const flags = { service: 'shop', port: ['80', '81'], ...(protocol && { protocol }) }
    assert.deepEqual(
      plan(flags).ports.map(({ name }) => name),
      names,
    )
  })
}

test('what a start waits for is told when it is news, and a renewal that waits is not', () => {
  const terminal = recordingTerminal()
  const tell = tellWhatIsWaitedFor(terminal)
  const failed = (message: string, notAfterMs?: number) =>
    tell({ event: 'certificate-failed', message, retryMs: 1, notAfterMs, isNearEnd: true })
  failed('connection refused')
  failed('connection refused')
  failed('unknown root')
  failed('it is late', 1)
  assert.equal(
    terminal.error(),
    'tulle: waiting, Ctrl-C ends it: connection refused\n' +
      'tulle: waiting, Ctrl-C ends it: unknown root\n',
  )
})
