/** A workload from start to end, with a real application and the smallest possible sidecar. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { eventually } from '../../test/support/eventually.ts'
import { standIns } from '../../test/support/stand-in-sidecar.ts'
import { systemClock } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import { systemRandom } from '../lib/random.ts'
import { RunningWorkload, type WorkloadEvent } from './run-workload.ts'
import type { ApplicationPlan, WorkloadPlan } from './workload-plan.ts'

function scene(application: Partial<ApplicationPlan>, changes: Partial<WorkloadPlan> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-workload-'))
  const plan: WorkloadPlan = {
    mesh: { name: 'm', trustDomain: 'cluster.local' },
    instance: 'w-1',
    workload: 'w',
    namespace: 'default',
    serviceAccount: 'default',
    labels: { app: 'w', version: 'v1' },
    group: 'w',
    service: undefined,
    ports: [],
    upstreams: [],
    locality: '',
    bindAddress: '127.0.0.1',
    controlPlane: '127.0.0.1:1',
    identity: undefined,
    stateFolder: join(folder, 'state'),
    isStateKept: true,
    portFolder: join(folder, 'ports'),
    proxy: { kind: 'tulle', program: undefined, drainTimeMs: 300 },
    termination: { deadlineMs: 3_000, drainMs: 300, zeroConnectionsMinMs: undefined },
    ...changes,
    application: {
      command: 'sleep 300',
      isExpanded: true,
      cwd: folder,
      env: {},
      probe: undefined,
      restart: 'never',
      stopGraceMs: 1_000,
      isHeldUntilProxyStarts: true,
      ...application,
    },
  }
  const stand = standIns()
  const events: WorkloadEvent[] = []
  const workload = new RunningWorkload({
    plan,
    env: { PATH: process.env['PATH'] },
    stdio: 'ignore',
    capture: 'env',
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    openIdentity: stand.openIdentity,
    openRelay: stand.openRelay,
    openSidecar: stand.openSidecar,
    onEvent: (event) => {
      events.push(event)
      if (event.event !== 'health' && event.event !== 'ending') stand.journal.push(event.event)
    },
  })
  return {
    folder,
    plan,
    stand,
    events,
    workload,
    async [Symbol.asyncDispose]() {
      await workload.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const ports = [{ name: 'http', servicePort: 80, appPort: 0 }]

test("the application's exit code is passed on, and everything is closed after it", async () => {
  await using here = scene({ command: ['sh', '-c', 'exit 9'] })
  assert.equal(await here.workload.run(), 9)
  assert.deepEqual(
    here.stand.journal.filter((entry) => !entry.startsWith('health')),
    [
      'assigned',
      'relay open',
      'sidecar open',
      'sidecar-ready',
      'application-started',
      'application-ended',
      'sidecar closed',
      'relay closed',
    ],
  )
})

test('the application is held until its sidecar can route', async () => {
  await using here = scene({})
  here.stand.isLive = false
  const ended = here.workload.run()
  await eventually(() => here.stand.journal.includes('sidecar open'))
  assert.equal(here.stand.journal.includes('application-started'), false)
  here.stand.isLive = true
  await eventually(() => here.stand.journal.includes('application-started'))
  await here.workload.stop()
  await ended
})

test('one that is not held starts at once', async () => {
  await using here = scene({ isHeldUntilProxyStarts: false })
  here.stand.isLive = false
  const ended = here.workload.run()
  await eventually(() => here.stand.journal.includes('application-started'))
  assert.equal(here.stand.journal.includes('sidecar-ready'), false)
  await here.workload.stop()
  await ended
})

test('one that serves is unhealthy until its port accepts, and its port is in its environment', async () => {
  const server = `require('http').createServer((_, r) => r.end()).listen(process.env.PORT, '127.0.0.1')`
  await using here = scene({ command: [process.execPath, '-e', server] }, { ports })
  const ended = here.workload.run()
  await eventually(() => here.stand.journal.includes('health true'))
  const health = here.stand.journal.filter((entry) => entry.startsWith('health'))
  assert.deepEqual(health, ['health false: the application is starting', 'health true'])
  await here.workload.stop()
  await ended
})

test('the environment leads HTTP to the sidecar and names the ports', async () => {
  const command = ['sh', '-c', 'env > environment; echo "${INSTANCE}" > word']
  await using here = scene(
    { command, env: { INSTANCE: 'me' } },
    { ports, upstreams: [{ host: 'db', port: 5432 }] },
  )
  await here.workload.run()
  const assigned = here.events.find((event) => event.event === 'assigned')
  assert.ok(assigned)
  const { addresses } = assigned
  const text = readFileSync(join(here.folder, 'environment'), 'utf8')
  for (const line of [
    `HTTP_PROXY=http://127.0.0.1:${addresses.httpProxyPort}`,
    `PORT=${addresses.ports[0]?.appPort}`,
    `PORT_HTTP=${addresses.ports[0]?.appPort}`,
    `DB_5432_ADDRESS=127.0.0.1:${addresses.upstreams[0]?.localPort}`,
    `TULLE_NODE=${process.execPath}`,
    'TULLE_WORKLOAD=w-1',
  ]) {
    assert.ok(text.split('\n').includes(line), line)
  }
  assert.equal(readFileSync(join(here.folder, 'word'), 'utf8'), 'me\n')
})

test('at the end it is unhealthy first, drained next, and closed last', async () => {
  await using here = scene({ probe: undefined }, { ports })
  const ended = here.workload.run()
  await eventually(() => here.stand.journal.includes('application-started'))
  here.stand.journal.length = 0
  here.stand.activeRequests = 1
  const began = performance.now()
  await here.workload.stop()
  assert.ok(performance.now() - began >= 300, 'it waits for the request under way')
  assert.deepEqual(here.stand.journal, [
    'health false: the workload is draining',
    'drain',
    'door closed',
    'application-ended',
    'sidecar closed',
    'relay closed',
  ])
  assert.equal(await ended, 143)
})

function stepsOf(events: readonly WorkloadEvent[]): readonly string[] {
  return events.flatMap((event) => (event.event === 'ending' ? [event.step] : []))
}

test('a workload ends in the order that is written down', async () => {
  await using here = scene({}, { ports })
  const ended = here.workload.run()
  await eventually(() => here.stand.journal.includes('application-started'))
  await here.workload.stop()
  await ended
  assert.deepEqual(stepsOf(here.events), [
    'not-ready',
    'control-plane-told',
    'connections-told',
    'in-flight-ended',
    'stopped-accepting',
    'application-ended',
    'closed',
  ])
})

test('one deadline holds for all: a drain that takes it all leaves the application its grace, and KILL is at the end', async () => {
  const termination = { deadlineMs: 800, drainMs: 60_000, zeroConnectionsMinMs: undefined }
  const command = ['sh', '-c', "trap '' TERM; while true; do sleep 1; done"]
  await using here = scene({ command, stopGraceMs: 300 }, { ports, termination })
  const ended = here.workload.run()
  await eventually(() => here.stand.journal.includes('application-started'))
  here.stand.activeRequests = 1
  const began = performance.now()
  await here.workload.stop()
  const tookMs = performance.now() - began
  assert.equal(await ended, 137)
  // Far from what the drain alone would take, on a busy machine too.
  assert.ok(tookMs >= 790 && tookMs < 20_000, `${tookMs} ms`)
  const told = here.events.filter((event) => event.event === 'ending')
  assert.equal(stepsOf(here.events).includes('in-flight-ended'), false)
  const closed = told.find(({ step }) => step === 'stopped-accepting')
  assert.ok(
    closed && closed.afterMs >= 490 && closed.afterMs < tookMs - 100,
    `${closed?.afterMs} ms`,
  )
})

test('the last connection is waited for where Istio’s variable says so, and no less than its minimum', async () => {
  const termination = { deadlineMs: 5_000, drainMs: 5_000, zeroConnectionsMinMs: 400 }
  await using here = scene({}, { ports, termination })
  const ended = here.workload.run()
  await eventually(() => here.stand.journal.includes('application-started'))
  here.stand.activeConnections = 1
  const began = performance.now()
  const stopped = here.workload.stop()
  await eventually(() => performance.now() - began > 600)
  assert.equal(here.stand.journal.includes('door closed'), false)
  here.stand.activeConnections = 0
  await stopped
  await ended
  assert.ok(stepsOf(here.events).includes('in-flight-ended'))
})

test('a sidecar that ends by itself ends the workload and says so', async () => {
  await using here = scene({})
  const ended = here.workload.run()
  await eventually(() => here.stand.journal.includes('application-started'))
  here.stand.crash()
  await ended
  assert.ok(here.events.some((event) => event.event === 'failed' && /crashed/.test(event.message)))
})

test('a program that is not there is named, and everything is closed', async () => {
  await using here = scene({ command: 'no-such-program' })
  await assert.rejects(here.workload.run(), /no such program on PATH/)
  assert.equal(here.stand.journal.at(-1), 'relay closed')
})

test('ports are the same after a restart, and given up by one that never comes back', async () => {
  await using first = scene({ command: 'true' }, { ports })
  await first.workload.run()
  const second = scene(
    { command: 'true' },
    { ports, portFolder: first.plan.portFolder, isStateKept: false },
  )
  await second.workload.run()
  const [one, two] = [first, second].map(
    ({ events }) => events.find((event) => event.event === 'assigned')?.addresses,
  )
  assert.deepEqual(one, two)
  assert.equal(existsSync(second.plan.stateFolder), false)
  assert.equal(existsSync(first.plan.stateFolder), true)
  await second[Symbol.asyncDispose]()
})
