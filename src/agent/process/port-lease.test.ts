/** Leases of ports: kept by an owner, never given twice, taken over from the dead. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { MeshError } from '../../lib/mesh-error.ts'
import { seededRandom, systemRandom } from '../../lib/random.ts'
import { isAlive, PortLeases } from './port-lease.ts'

function scene() {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-ports-'))
  return {
    folder,
    leases: (options = {}) =>
      new PortLeases({ folder, random: systemRandom, pid: process.pid, ...options }),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

test('an owner gets its port again, and another owner gets another', async () => {
  using ports = scene()
  const first = await ports.leases().lease('mesh/a')
  assert.equal(await ports.leases().lease('mesh/a'), first)
  assert.notEqual(await ports.leases().lease('mesh/b'), first)
})

test('the same draw does not lead two living owners to one port', async () => {
  using ports = scene()
  const one = await ports.leases({ random: seededRandom(1) }).lease('mesh/a')
  const two = await ports.leases({ random: seededRandom(1) }).lease('mesh/b')
  assert.notEqual(one, two)
})

test('a port that somebody listens on meanwhile is not given again', async () => {
  using ports = scene()
  const port = await ports.leases().lease('mesh/a')
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  assert.notEqual(await ports.leases().lease('mesh/a'), port)
  server.close()
})

test('the lease of a dead process is taken over by its owner and free for others', async () => {
  using ports = scene()
  const port = await ports.leases().lease('mesh/a')
  // No process has this id: it is above the kernel's ceiling.
  writeFileSync(join(ports.folder, String(port)), '99999999 mesh/a\n')
  assert.equal(await ports.leases().lease('mesh/a'), port)
  writeFileSync(join(ports.folder, String(port)), '99999999 mesh/a\n')
  const draw = (port - 20_000 + 0.5) / 12_000
  assert.equal(await ports.leases({ random: () => draw }).lease('mesh/b'), port)
})

test('an owner whose lease a living process holds gets another port', async () => {
  using ports = scene()
  const port = await ports.leases({ pid: process.ppid }).lease('mesh/a')
  assert.ok(isAlive(process.ppid))
  assert.notEqual(await ports.leases().lease('mesh/a'), port)
})

test(
  'a folder that takes no file is told apart from ports that are all taken',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async () => {
    // Takes no files from anybody, root included.
    using ports = scene()
    const leases = ports.leases({ folder: '/proc/self/task' })
    await assert.rejects(leases.lease('mesh/a'), (error: unknown) => {
      assert.ok(error instanceof MeshError)
      assert.match(error.message, /no lease of a port can be written in \/proc\/self\/task/)
      assert.ok(error.cause instanceof Error)
      return true
    })
  },
)
