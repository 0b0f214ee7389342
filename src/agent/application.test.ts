/** An application's life as its agent sees it: started, probed, started again, ended. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { eventually } from '../../test/support/eventually.ts'
import { systemClock } from '../lib/clock.ts'
import { Application, type ApplicationEvent, type ApplicationOptions } from './application.ts'
import type { ProbeConfig } from './probe/probe.ts'
import { Reaper } from './process/reaper.ts'

const probe: ProbeConfig = {
  action: { kind: 'exec', command: ['true'] },
  initialDelayMs: 0,
  timeoutMs: 1_000,
  periodMs: 20,
  successThreshold: 1,
  failureThreshold: 1,
}

function scene(changes: Partial<ApplicationOptions>) {
  const reaper = new Reaper({ graceMs: 1_000 })
  const events: ApplicationEvent[] = []
  const application = new Application({
    command: ['sleep', '300'],
    cwd: '/',
    env: { PATH: process.env['PATH'] },
    stdio: 'ignore',
    probe: undefined,
    restart: 'never',
    reaper,
    clock: systemClock,
    random: () => 0.01,
    onEvent: (event) => events.push(event),
    ...changes,
  })
  return {
    application,
    events,
    names: () => events.map(({ event }) => event),
    async [Symbol.asyncDispose]() {
      await application.stop(1_000)
      await reaper[Symbol.asyncDispose]()
    },
  }
}

test('the exit code of one that is not restarted is passed on', async () => {
  await using mesh = scene({ command: ['sh', '-c', 'exit 42'] })
  await mesh.application.start()
  assert.equal(await mesh.application.ended, 42)
  assert.deepEqual(mesh.events.at(-1), {
    event: 'application-ended',
    code: 42,
    message: 'the application ended with code 42',
    restartMs: undefined,
  })
})

test('one without a probe is healthy while it runs and unhealthy from its end', async () => {
  await using mesh = scene({})
  await mesh.application.start()
  assert.deepEqual(mesh.names(), ['application-started', 'health'])
  mesh.application.signal('SIGKILL')
  assert.equal(await mesh.application.ended, 137)
  assert.deepEqual(mesh.events[2], {
    event: 'health',
    isHealthy: false,
    message: 'the application was ended by SIGKILL',
  })
})

test('one with a probe is healthy only when the probe says so', async () => {
  const refusing = { kind: 'exec', command: ['false'] } as const
  await using mesh = scene({ probe: { ...probe, action: refusing } })
  await mesh.application.start()
  await eventually(() => mesh.names().includes('health'))
  assert.deepEqual(mesh.events.at(-1), {
    event: 'health',
    isHealthy: false,
    message: 'false: ended with code 1',
  })
})

test('one that crashes is started again with back-off, and probed anew', async () => {
  await using mesh = scene({ command: ['sh', '-c', 'sleep 0.1; exit 1'], restart: 'always', probe })
  await mesh.application.start()
  const starts = () => mesh.names().filter((name) => name === 'application-started').length
  await eventually(() => starts() === 3)
  const ends = mesh.events.filter((event) => event.event === 'application-ended')
  const waits = ends.slice(0, 2).map((event) => event.restartMs)
  assert.deepEqual(waits, [200, 200])
  const health = mesh.events.filter((event) => event.event === 'health')
  assert.deepEqual(
    health.slice(0, 3).map((event) => event.isHealthy),
    [true, false, true],
  )
})

test('one that was stopped is not started again', async () => {
  await using mesh = scene({ restart: 'always' })
  await mesh.application.start()
  await mesh.application.stop(1_000)
  assert.equal(await mesh.application.ended, 143)
  assert.deepEqual(mesh.events.at(-1), {
    event: 'application-ended',
    code: 143,
    message: 'the application was ended by SIGTERM',
    restartMs: undefined,
  })
})

test('one that cannot be started says why', async () => {
  await using mesh = scene({ command: ['no-such-program'], restart: 'always' })
  await assert.rejects(mesh.application.start(), /no such program on PATH/)
})
