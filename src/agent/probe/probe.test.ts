/** Thresholds and pace of probes, on a clock that the test moves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { Probe, type ProbeConfig, type Verdict } from './probe.ts'

const config: ProbeConfig = {
  action: { kind: 'tcp', host: '127.0.0.1', port: 1 },
  initialDelayMs: 0,
  timeoutMs: 1_000,
  periodMs: 10_000,
  successThreshold: 1,
  failureThreshold: 3,
}

/** Runs a probe whose checks answer in order, one each time the clock is moved by `advance`. */
function scene(changes: Partial<ProbeConfig>, answers: readonly (string | undefined)[]) {
  const clock = new FakeClock()
  const verdicts: Verdict[] = []
  const asked: number[] = []
  const startMs = clock.nowMs()
  const probe = new Probe({
    config: { ...config, ...changes },
    clock,
    check: () => {
      asked.push(clock.nowMs() - startMs)
      return Promise.resolve(answers[asked.length - 1])
    },
    onChange: (verdict) => verdicts.push(verdict),
  })
  const advance = async (byMs: number) => {
    clock.advance(byMs)
    // Lets the check's promise settle.
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { probe, verdicts, asked, advance }
}

test('one success makes a starting application healthy, and it is told once', async () => {
  const { verdicts, advance } = scene({}, [undefined, undefined, undefined])
  await advance(0)
  assert.deepEqual(verdicts, [{ isHealthy: true, message: '' }])
  await advance(10_000)
  assert.equal(verdicts.length, 1)
})

test('an application that starts is asked often, and at its own pace once it was healthy', async () => {
  const { asked, advance } = scene({}, ['no', undefined, undefined])
  await advance(0)
  await advance(200)
  await advance(9_999)
  await advance(1)
  assert.deepEqual(asked, [0, 200, 10_200])
})

test('the first question waits for the initial delay', async () => {
  const { asked, advance } = scene({ initialDelayMs: 500 }, [undefined])
  await advance(499)
  assert.deepEqual(asked, [])
  await advance(1)
  assert.deepEqual(asked, [500])
})

test('failures in a row make it unhealthy, with the last reason; a success between starts anew', async () => {
  const answers = [undefined, 'a', 'b', undefined, 'c', 'd', 'e', undefined]
  const { verdicts, advance } = scene({}, answers)
  await advance(0)
  for (let times = 0; times < 6; times++) await advance(10_000)
  assert.deepEqual(verdicts.at(-1), { isHealthy: false, message: 'e' })
  assert.equal(verdicts.length, 2)
  await advance(10_000)
  assert.deepEqual(verdicts.at(-1), { isHealthy: true, message: '' })
})

test('successThreshold counts successes in a row', async () => {
  const { verdicts, advance } = scene({ successThreshold: 2 }, [
    undefined,
    'no',
    undefined,
    undefined,
  ])
  await advance(0)
  await advance(200)
  await advance(200)
  assert.equal(verdicts.length, 0)
  await advance(200)
  assert.equal(verdicts.length, 1)
})

test('a check that does not answer is aborted at the time-out and counts as a failure', async () => {
  const clock = new FakeClock()
  const verdicts: Verdict[] = []
  using _probe = new Probe({
    config: { ...config, failureThreshold: 1 },
    clock,
    check: (signal) =>
      new Promise((resolve) => signal.addEventListener('abort', () => resolve('aborted'))),
    onChange: (verdict) => verdicts.push(verdict),
  })
  clock.advance(0)
  clock.advance(1_000)
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(verdicts, [{ isHealthy: false, message: 'no answer within 1000 ms' }])
})

test('a closed probe asks no more and tells no more', async () => {
  const { probe, verdicts, asked, advance } = scene({}, [undefined])
  probe[Symbol.dispose]()
  await advance(60_000)
  assert.deepEqual([verdicts, asked], [[], []])
})
