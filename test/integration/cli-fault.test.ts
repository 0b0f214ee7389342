/** `tulle fault` against a running control plane, as its owner runs it, and over a restart. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { announceMesh, tulleHome } from '../../src/cli/home.ts'
import type { ControlPlane } from '../../src/control/control-plane.ts'
import { runCli, type CliRun } from '../support/cli-context.ts'
import { eventually } from '../support/eventually.ts'
import { IdentityControlPlane } from '../support/identity-control-plane.ts'
import { ownerCall } from '../support/owner-call.ts'

const config = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: reviews, namespace: shop }
spec:
  hosts: [reviews.shop.svc.cluster.local]
  ports: [{ number: 80, name: http, protocol: HTTP }]
  resolution: STATIC
  endpoints: [{ address: 127.0.0.1 }]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: wire, namespace: shop }
spec:
  hosts: [wire.shop.svc.cluster.local]
  ports: [{ number: 5432, name: tcp, protocol: TCP }]
  resolution: STATIC
  endpoints: [{ address: 127.0.0.1 }]
`

class Scene implements AsyncDisposable {
  readonly plane: IdentityControlPlane
  readonly #env: Readonly<Record<string, string>>
  #announced: Disposable

  constructor(plane: IdentityControlPlane) {
    this.plane = plane
    this.#env = { TULLE_HOME: join(plane.folder, 'home') }
    this.#announced = this.#announce(plane.controlPlane)
  }

  #announce({ apiUrl, xdsAddress, handOver }: ControlPlane): Disposable {
    return announceMesh(tulleHome(this.#env), {
      name: 'test',
      pid: process.pid,
      api: apiUrl,
      xds: xdsAddress,
      namespace: 'shop',
      trustDomain: 'cluster.local',
      identity: { trustDomainAliases: [], ttlMs: undefined, handOver },
      file: '',
      startedAt: '',
    })
  }

  static async open(): Promise<Scene> {
    return new Scene(await IdentityControlPlane.open(config))
  }

  run(...words: string[]): Promise<CliRun> {
    return runCli(words, { env: this.#env })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#announced[Symbol.dispose]()
    await this.plane[Symbol.asyncDispose]()
  }
}

test('a fault is added, listed and removed, and no file is changed', async () => {
  await using scene = await Scene.open()
  const what = ['--delay', '1.5s', '--abort', '503', '--percent', '12.5', '--name', 'slow']
  const whose = ['--from', 'web', '-H', 'end-user: jason', '--for', '2m']
  const added = await scene.run('fault', 'add', 'reviews', ...what, ...whose)
  assert.equal(added.error, '')
  assert.match(
    added.out,
    /^slow: delay 1500 ms and abort 503, 12\.5 % of requests from web to reviews\.shop\.svc\.cluster\.local with end-user: jason, until 20/,
  )
  const listed = await scene.run('fault', 'list')
  assert.match(
    listed.out,
    /^slow +reviews\.shop\.svc\.cluster\.local +delay 1500 ms and abort 503, 12\.5 % +web +end-user: jason +20/m,
  )
  const json = await scene.run('fault', 'list', '-o', 'json')
  const [fault] = JSON.parse(json.out) as { createdAt: string; endsAt: string }[]
  assert.equal(Date.parse(fault?.endsAt ?? '') - Date.parse(fault?.createdAt ?? ''), 120_000)
  assert.match(await scene.plane.metrics(), /^tulle_faults 1$/m)
  assert.equal((await scene.run('fault', 'remove', 'slow')).out, 'slow is removed\n')
  assert.match((await scene.run('fault', 'list')).out, /there are no faults/)
  assert.equal(readFileSync(join(scene.plane.folder, 'config.yaml'), 'utf8'), config)
})

test('a caller that nobody is gets a warning with those that there are', async () => {
  await using scene = await Scene.open()
  const added = await scene.run('fault', 'add', 'reviews', '--reset', '--from', 'wbe')
  assert.equal(added.exitCode, 0)
  assert.match(
    added.out,
    /\nwarning: no workload wbe, and none with the label app=wbe, is in the mesh now: there are none\n$/,
  )
  const json = await scene.run('fault', 'list', '-o', 'json')
  assert.equal((JSON.parse(json.out) as { warning?: string }[])[0]?.warning, undefined)
})

test('a request may be cut off, and is not answered then', async () => {
  await using scene = await Scene.open()
  const added = await scene.run('fault', 'add', 'reviews', '--reset', '--percent', '5')
  assert.match(added.out, /: reset, 5 % of requests to reviews\.shop/)
  const json = await scene.run('fault', 'list', '-o', 'json')
  assert.deepEqual(
    (JSON.parse(json.out) as { reset?: boolean; abort?: number }[]).map(({ reset, abort }) => [
      reset,
      abort,
    ]),
    [[true, undefined]],
  )
})

test('a fault has an end that nobody has to think of', async () => {
  await using scene = await Scene.open()
  await scene.run('fault', 'add', 'reviews', '--abort', 'UNAVAILABLE', '--for', '300ms')
  await scene.run('fault', 'add', 'reviews.shop', '--delay', '1s')
  await eventually(async () => !(await scene.run('fault', 'list')).out.includes('UNAVAILABLE'), {
    deadlineMs: 3_000,
  })
  const { out } = await scene.run('fault', 'remove', '--all')
  assert.match(out, /^fault-[0-9a-f]{6} is removed\n$/)
})

test('faults are there again after a restart of the control plane', async () => {
  await using scene = await Scene.open()
  await scene.run('fault', 'add', 'reviews', '--delay', '1s', '--name', 'kept')
  await scene.plane.controlPlane.close()
  await using again = await scene.plane.start()
  const { body } = await ownerCall(again.handOver, 'GET /faults')
  assert.deepEqual(
    body.items.map(({ name }: { name: string }) => name),
    ['kept'],
  )
})

test('what makes no sense is refused as misuse, or by the control plane', async () => {
  await using scene = await Scene.open()
  const misuse = [
    ['fault', 'make'],
    ['fault', 'add', '--delay', '1s'],
    ['fault', 'add', 'reviews'],
    ['fault', 'add', 'reviews', '--delay', 'long'],
    ['fault', 'add', 'reviews', '--delay', '1s', '--percent', '101'],
    ['fault', 'add', 'reviews', '--delay', '1s', '-H', 'nothing'],
    ['fault', 'add', 'reviews', '--delay', '1s', '--for', 'ever'],
    ['fault', 'add', 'reviews', '--abort', '503', '--reset'],
    ['fault', 'remove'],
    ['fault', 'remove', 'a', '--all'],
  ]
  for (const words of misuse) assert.equal((await scene.run(...words)).exitCode, 2, words.join(' '))
  const unknown = await scene.run('fault', 'add', 'revews', '--delay', '1s')
  assert.equal(unknown.exitCode, 1)
  assert.match(unknown.error, /no service or route is for the host revews\.shop\.svc/)
  assert.match(unknown.error, /known are reviews\.shop\.svc\.cluster\.local/)
  const bytes = await scene.run('fault', 'add', 'wire', '--reset')
  assert.equal(bytes.exitCode, 1)
  assert.match(bytes.error, /wire\.shop\.svc\.cluster\.local has no port of HTTP/)
  assert.match(bytes.error, /its ports are 5432 \(tcp\)/)
  const status = await scene.run('fault', 'add', 'reviews', '--abort', '700')
  assert.match(status.error, /abort: must be a status.*\n +code: MESH_FAULT_REFUSED/)
  assert.equal((await scene.run('fault', 'remove', 'nobody')).exitCode, 1)
})
