/** A control plane that dies while a file is broken: the one that comes after it has the last good version too. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { viewPath } from '../../src/api/view.ts'
import type { ControlPlane } from '../../src/control/control-plane.ts'
import { eventually } from '../support/eventually.ts'
import { IdentityControlPlane } from '../support/identity-control-plane.ts'

const entry = (port: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: reviews, namespace: shop }
spec: { hosts: [reviews.example], ports: [{ number: ${port}, name: http, protocol: HTTP }], resolution: DNS }
`

async function read(plane: ControlPlane, path: string) {
  const answer = await fetch(`${plane.apiUrl}${path}`)
  return (await answer.json()) as { readonly items: readonly Record<string, unknown>[] }
}

const entries = async (plane: ControlPlane) =>
  (await read(plane, '/apis/networking.istio.io/v1/serviceentries')).items.map(({ spec }) => spec)

test('what was in force before a restart is in force after it, and the issue says so', async () => {
  await using scene = await IdentityControlPlane.open(entry('80'))
  const before = await entries(scene.controlPlane)
  assert.equal(before.length, 1)
  writeFileSync(join(scene.folder, 'config.yaml'), entry('eighty'))
  const issues = async (plane: ControlPlane) =>
    JSON.stringify(await read(plane, viewPath('issues')))
  await eventually(async () => (await issues(scene.controlPlane)).includes('stays in force'))
  await scene.controlPlane.close()
  await using again = await scene.start()
  assert.deepEqual(await entries(again), before)
  assert.match(await issues(again), /the last good version of this ServiceEntry stays in force/)
})
