/** `tulle token`, `tulle ca` and `tulle check` against a running control plane, as its owner runs them. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { announceMesh, tulleHome } from '../../src/cli/home.ts'
import { runCli, type CliRun } from '../support/cli-context.ts'
import { IdentityControlPlane } from '../support/identity-control-plane.ts'

class Scene implements AsyncDisposable {
  readonly plane: IdentityControlPlane
  readonly #env: Readonly<Record<string, string>>
  readonly #announced: Disposable

  constructor(plane: IdentityControlPlane) {
    this.plane = plane
    this.#env = { TULLE_HOME: join(plane.folder, 'home') }
    const { apiUrl, xdsAddress, handOver } = plane.controlPlane
    this.#announced = announceMesh(tulleHome(this.#env), {
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
    return new Scene(await IdentityControlPlane.open(''))
  }

  run(...words: string[]): Promise<CliRun> {
    return runCli(words, { env: this.#env })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#announced[Symbol.dispose]()
    await this.plane[Symbol.asyncDispose]()
  }
}

test('a token goes alone to standard output, and admits', async () => {
  await using scene = await Scene.open()
  const { out, error, exitCode } = await scene.run('token', 'create', '--service-account', 'cart')
  assert.equal(exitCode, 0)
  assert.match(out, /^tulle-1\.\S+\n$/)
  assert.match(error, /^token for shop\/cart: 1 uses until /)
  await scene.plane.certificate({ token: out.trim() })
})

test('tokens are listed without their secret, and revoked', async () => {
  await using scene = await Scene.open()
  const token = (
    await scene.run('token', 'create', '--group', 'cart-v1', '--ttl', '90s')
  ).out.trim()
  const [, id = '', secret = ''] = token.split('.')
  const listed = await scene.run('token', 'list')
  assert.match(listed.out, new RegExp(`${id}  valid  shop +default +cart-v1  1/1`))
  assert.equal(listed.out.includes(secret), false)
  assert.match((await scene.run('token', 'revoke', id)).out, /is revoked/)
  const left = await scene.run('token', 'list')
  assert.match(left.out, /there is no valid token; --all shows 1 others/)
  assert.equal((await scene.run('token', 'list', '-o', 'json')).out, '[]\n')
  const all = await scene.run('token', 'list', '--all', '-o', 'json')
  assert.match(all.out, /"state": "revoked"/)
})

test('what makes no sense is refused as misuse, or by the control plane', async () => {
  await using scene = await Scene.open()
  const misuse = [
    ['token', 'make'],
    ['token', 'revoke'],
    ['token', 'create', '--ttl', 'soon'],
    ['token', 'create', '--uses', '0'],
    ['ca', 'key', 'list'],
    ['ca', 'root', 'sign'],
    ['ca', 'root', 'use'],
  ]
  for (const words of misuse) assert.equal((await scene.run(...words)).exitCode, 2, words.join(' '))
  const { exitCode, error } = await scene.run('token', 'create', '--ttl', '200h')
  assert.equal(exitCode, 1)
  assert.match(error, /ttlSeconds: must be .*\n +code: MESH_IDENTITY_REFUSED/)
})

test('a root is added, used and dropped', async () => {
  await using scene = await Scene.open()
  const ids = async () => {
    const { out } = await scene.run('ca', 'root', 'list', '-o', 'json')
    return (JSON.parse(out) as { id: string }[]).map(({ id }) => id)
  }
  const [old = ''] = await ids()
  const added = /root (\S+) is believed/.exec((await scene.run('ca', 'root', 'add')).out)?.[1] ?? ''
  assert.deepEqual(await ids(), [old, added])
  assert.match((await scene.run('ca', 'root', 'use', added.slice(0, 8))).out, /signs/)
  assert.match((await scene.run('ca', 'root', 'drop', old)).out, /no longer believed/)
  assert.deepEqual(await ids(), [added])
  assert.match((await scene.run('ca', 'root', 'list', '--pem')).out, /^-----BEGIN CERTIFICATE-----/)
})

test('check ends with 0 when nothing is wrong, and with 1 when something is', async () => {
  await using scene = await Scene.open()
  const fine = await scene.run('check')
  assert.deepEqual([fine.exitCode, fine.error], [0, ''])
  assert.match(fine.out, /nothing is wrong/)
  await scene.run('token', 'create')
  const { out } = await scene.run('ca', 'root', 'add')
  await scene.run('ca', 'root', 'use', /root (\S+)/.exec(out)?.[1] ?? '')
  const found = await scene.run('check')
  assert.equal(found.exitCode, 1)
  assert.match(found.out, /warning token \S+: it was made before the root changed.*\n {2}next: /)
})

test('without a control plane here, the command says where to run it', async () => {
  const { exitCode, error } = await runCli(['token', 'list'], {
    env: { TULLE_HOME: '/nonexistent' },
  })
  assert.equal(exitCode, 1)
  assert.match(error, /no mesh runs/)
})
