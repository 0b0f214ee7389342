/** Finding the meshes that run on this host. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { announceMesh, findMesh, findMeshes, tulleHome, type RunningMesh } from './home.ts'

function scene() {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-home-'))
  return {
    home: tulleHome({ TULLE_HOME: folder }),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

const mesh: RunningMesh = {
  name: 'one',
  pid: process.pid,
  api: 'http://127.0.0.1:1',
  xds: '127.0.0.1:2',
  namespace: 'default',
  trustDomain: 'cluster.local',
  identity: { trustDomainAliases: [], ttlMs: 60_000, handOver: '/hand-over.sock' },
  file: '',
  startedAt: '2026-01-01T00:00:00.000Z',
}

test('the home is TULLE_HOME, else the runtime folder, else a folder in HOME', () => {
  const env = { TULLE_HOME: '/a', XDG_RUNTIME_DIR: '/b', HOME: '/c' }
  assert.equal(tulleHome(env).folder, '/a')
  assert.equal(tulleHome({ ...env, TULLE_HOME: '' }).folder, '/b/tulle')
  assert.equal(tulleHome({ HOME: '/c' }).folder, '/c/.tulle')
})

test('an announced mesh is found until its announcement ends', () => {
  using here = scene()
  assert.deepEqual(findMeshes(here.home), [])
  {
    using _announcement = announceMesh(here.home, mesh)
    assert.deepEqual(findMesh(here.home, undefined), mesh)
  }
  assert.throws(() => findMesh(here.home, undefined), /no mesh runs/)
})

test('a mesh whose process has gone is ignored', () => {
  using here = scene()
  // No process has this id: it is above the kernel's ceiling.
  using _stale = announceMesh(here.home, { ...mesh, pid: 99_999_999 })
  assert.throws(() => findMesh(here.home, 'one'), /no mesh named one runs/)
})

test('of several meshes one has to be named', () => {
  using here = scene()
  using _one = announceMesh(here.home, mesh)
  using _two = announceMesh(here.home, { ...mesh, name: 'two' })
  assert.throws(() => findMesh(here.home, undefined), /several meshes run: one, two/)
  assert.equal(findMesh(here.home, 'two').name, 'two')
})
