/** Registrations on disk: written at once and whole, read back, damaged, over the ceiling. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { eventually } from '../../test/support/eventually.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { MeshError } from '../lib/mesh-error.ts'
import type { Member } from './endpoint.ts'
import { createFileRegistrationLog } from './registration-log.ts'

async function openFolder(): Promise<{ path: string; file: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'tulle-log-'))
  return {
    path,
    file: join(path, 'state', 'registrations.json'),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  }
}

function member(name: string): Member {
  return {
    workload: {
      id: `sidecar~127.0.0.1~${name}.default~default.svc.cluster.local`,
      name,
      namespace: 'default',
      serviceAccount: '',
      address: '127.0.0.1',
      labels: { app: name },
      ports: [{ name: 'http', appPort: 8080, meshPort: 30_001, servicePort: undefined }],
      health: 'unhealthy',
      healthMessage: 'no',
      presence: 'connected',
      locality: '',
      network: '',
      cluster: '',
      weight: 0,
    },
    portMap: { http: 8080 },
    hasOwnPorts: true,
    directHost: undefined,
  }
}

const restored = (name: string): Member => {
  const { workload, ...rest } = member(name)
  return { ...rest, workload: { ...workload, presence: 'restored' } }
}

test('what was written is read by the next process, as restored', async () => {
  await using folder = await openFolder()
  const log = createFileRegistrationLog({ path: folder.file })
  assert.deepEqual(await log.read(), [])
  log.write(() => [member('a'), member('b')])
  await log[Symbol.asyncDispose]()
  const next = createFileRegistrationLog({ path: folder.file })
  assert.deepEqual(await next.read(), [restored('a'), restored('b')])
})

test('the file is for its owner only and no draft is left', async () => {
  await using folder = await openFolder()
  const log = createFileRegistrationLog({ path: folder.file })
  log.write(() => [member('a')])
  await log[Symbol.asyncDispose]()
  assert.equal((await stat(folder.file)).mode & 0o777, 0o600)
  assert.deepEqual(await readdir(join(folder.path, 'state')), ['registrations.json'])
})

test('many changes are one write, of the newest state', async () => {
  await using folder = await openFolder()
  const clock = new FakeClock()
  await using log = createFileRegistrationLog({ path: folder.file, clock, coalesceMs: 100 })
  let reads = 0
  const members: Member[] = []
  for (const name of ['a', 'b', 'c']) {
    members.push(member(name))
    log.write(() => {
      reads += 1
      return members
    })
  }
  clock.advance(99)
  assert.equal(reads, 0)
  clock.advance(1)
  await eventually(async () => (await readFile(folder.file, 'utf8')).includes('"c"'))
  assert.equal(reads, 1)
})

const damaged: readonly { claim: string; text: string }[] = [
  { claim: 'cut short', text: '{"version":1,"registr' },
  { claim: 'of another version', text: '{"version":2,"registrations":[]}' },
  { claim: 'with a malformed entry', text: '{"version":1,"registrations":[{"workload":{}}]}' },
  { claim: 'that is no object', text: '7' },
]
for (const { claim, text } of damaged) {
  test(`a file ${claim} is put aside, and the start goes on without it`, async () => {
    await using folder = await openFolder()
    await mkdir(join(folder.path, 'state'))
    await writeFile(folder.file, text)
    const log = createFileRegistrationLog({ path: folder.file })
    assert.deepEqual(await log.read(), [])
    assert.equal(await readFile(`${folder.file}.damaged`, 'utf8'), text)
    assert.deepEqual(await log.read(), [])
  })
}

test('a file that cannot be read stops the start with a reason', async () => {
  await using folder = await openFolder()
  await mkdir(folder.file, { recursive: true })
  const log = createFileRegistrationLog({ path: folder.file })
  await assert.rejects(
    log.read(),
    (error) => error instanceof MeshError && error.code === 'MESH_STORE_UNAVAILABLE',
  )
})

test('a list over the ceiling is not written, and the last that fitted stays', async () => {
  await using folder = await openFolder()
  const clock = new FakeClock()
  await using log = createFileRegistrationLog({ path: folder.file, clock, bytesMax: 1_000 })
  log.write(() => [member('a')])
  clock.advance(1_000)
  const before = await eventually(() => readFile(folder.file, 'utf8'))
  log.write(() => Array.from({ length: 10 }, (_, n) => member(`w${n}`)))
  await log[Symbol.asyncDispose]()
  assert.equal(await readFile(folder.file, 'utf8'), before)
})

test('a write that fails is tried again until it succeeds', async () => {
  await using folder = await openFolder()
  const clock = new FakeClock()
  // A file where the folder should be.
  const parent = join(folder.path, 'state')
  await writeFile(parent, '')
  await using log = createFileRegistrationLog({
    path: folder.file,
    clock,
    coalesceMs: 10,
    retryMs: 50,
  })
  log.write(() => [member('a')])
  clock.advance(10)
  await eventually(() => clock.pendingTimers === 1)
  await rm(parent)
  clock.advance(50)
  await eventually(() => readFile(folder.file, 'utf8'))
})
