/** Whether somebody has a workload's state folder already. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { requireSoleAgent } from './sole-agent.ts'

test('an agent that listens is the only one, and what one has left behind is nobody', async () => {
  const stateFolder = mkdtempSync(join(tmpdir(), 'tulle-sole-'))
  const path = join(stateFolder, 'agent.sock')
  const plan = { instance: 'web', stateFolder }
  await requireSoleAgent(plan)
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(path, resolve))
  await assert.rejects(requireSoleAgent(plan), {
    code: 'MESH_USAGE',
    message: 'a workload named web runs already on this host',
  })
  await new Promise((resolve) => server.close(resolve))
  writeFileSync(path, '')
  await requireSoleAgent(plan)
  rmSync(stateFolder, { recursive: true })
})
