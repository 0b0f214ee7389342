/** Join tokens: whom they admit, how often, and every way in which they are refused. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { FakeClock } from '../../test/support/fake-clock.ts'
import { parseJoinToken } from './join-token.ts'
import { openTokenStore, type TokenOptions, type TokenStore } from './token-store.ts'

const hour = 3_600_000
const rootHash = 'r'.repeat(43)
const keyOf = (name: string) => Buffer.from(name)

const options: TokenOptions = {
  namespace: 'shop',
  serviceAccount: 'cart',
  group: 'cart-v1',
  ttlMs: hour,
  usesMax: 1,
  rootHashes: [rootHash],
  madeBy: 'test',
}

class Scene implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'tulle-tokens-'))
  readonly clock = new FakeClock()
  store: TokenStore = this.open()

  open(): TokenStore {
    this.store = openTokenStore({ folder: this.folder, clock: this.clock })
    return this.store
  }

  async create(fields: Partial<TokenOptions> = {}): Promise<string> {
    return (await this.store.create({ ...options, ...fields })).text
  }

  async redeem(text: string, key: string): Promise<string> {
    const redemption = await this.store.redeem(text, { publicKey: keyOf(key) })
    return redemption.ok ? 'admitted' : redemption.reason
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true })
  }
}

test('a token admits whom it was made for, and names the roots to believe', async () => {
  using scene = new Scene()
  const text = await scene.create()
  const redemption = await scene.store.redeem(text, { publicKey: keyOf('k') })
  assert.ok(redemption.ok)
  assert.deepEqual(redemption.grant, {
    namespace: 'shop',
    serviceAccount: 'cart',
    group: 'cart-v1',
  })
  assert.deepEqual(parseJoinToken(text)?.rootHashes, [rootHash])
})

test('a use is given once, also to many at the same time and after a restart', async () => {
  using scene = new Scene()
  const text = await scene.create({ usesMax: 2 })
  const keys = ['a', 'b', 'c', 'd', 'e']
  const seen = await Promise.all(keys.map((key) => scene.redeem(text, key)))
  assert.deepEqual(seen, ['admitted', 'admitted', 'used-up', 'used-up', 'used-up'])
  scene.open()
  assert.equal(await scene.redeem(text, 'f'), 'used-up')
})

test('a use is on the disk before anybody learns of it', async () => {
  using scene = new Scene()
  const text = await scene.create({ usesMax: 3 })
  for (const key of ['a', 'b', 'c']) {
    assert.equal(await scene.redeem(text, key), 'admitted')
    scene.open()
  }
  assert.equal(await scene.redeem(text, 'd'), 'used-up')
})

test('who lost the answer may ask again with the same key, for a while', async () => {
  using scene = new Scene()
  const text = await scene.create()
  assert.equal(await scene.redeem(text, 'a'), 'admitted')
  assert.equal(await scene.redeem(text, 'a'), 'admitted')
  assert.equal(scene.store.list()[0]?.usesLeft, 0)
  scene.clock.advance(600_000)
  assert.equal(await scene.redeem(text, 'a'), 'used-up')
})

test('an expired token is refused as that', async () => {
  using scene = new Scene()
  const text = await scene.create()
  scene.clock.advance(hour)
  assert.equal(await scene.redeem(text, 'a'), 'expired')
})

test('a revoked token is refused as that, also to a key that had used it', async () => {
  using scene = new Scene()
  const text = await scene.create({ usesMax: 2 })
  assert.equal(await scene.redeem(text, 'a'), 'admitted')
  await scene.store.revoke(parseJoinToken(text)?.id ?? '')
  assert.equal(await scene.redeem(text, 'a'), 'revoked')
  scene.open()
  assert.equal(await scene.redeem(text, 'b'), 'revoked')
  await assert.rejects(scene.store.revoke('nobody'), { code: 'MESH_IDENTITY_REFUSED' })
})

test('a forged secret, an unknown id and noise are refused', async () => {
  using scene = new Scene()
  const text = await scene.create()
  const [form = '', id = '', , hash = ''] = text.split('.')
  const forged = [form, id, 'x'.repeat(43), hash].join('.')
  assert.equal(await scene.redeem(forged, 'a'), 'unknown')
  assert.equal(await scene.redeem(text.replace(id, '0'.repeat(12)), 'a'), 'unknown')
  assert.equal(await scene.redeem('', 'a'), 'malformed')
  assert.equal(await scene.redeem(`${text}.x`, 'a'), 'malformed')
  assert.equal(await scene.redeem(text, 'a'), 'admitted')
})

test('any change of one character makes a token worthless', async () => {
  using scene = new Scene()
  const text = await scene.create({ usesMax: 1_000 })
  const change = fc.tuple(
    fc.nat(text.lastIndexOf('.') - 1),
    fc.constantFrom('a', 'b', '0', '1', '.', '-', '_'),
  )
  await fc.assert(
    fc.asyncProperty(change, async ([at, character]) => {
      if (text[at] === character) return
      const changed = text.slice(0, at) + character + text.slice(at + 1)
      assert.notEqual(await scene.redeem(changed, 'a'), 'admitted')
    }),
    { numRuns: 200 },
  )
})

test('the file holds no secret and is readable by its owner only', async () => {
  using scene = new Scene()
  const secret = parseJoinToken(await scene.create())?.secret ?? ''
  const path = join(scene.folder, 'tokens.json')
  assert.equal(secret.length, 43)
  assert.equal(readFileSync(path, 'utf8').includes(secret), false)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.equal(JSON.stringify(scene.store.list()).includes(secret), false)
})

test('lifetime and uses have ceilings', async () => {
  using scene = new Scene()
  for (const wrong of [
    { ttlMs: 0 },
    { ttlMs: 8 * 24 * hour },
    { usesMax: 0 },
    { usesMax: 1.5 },
    { usesMax: 1e6 },
  ]) {
    await assert.rejects(scene.create(wrong), { code: 'MESH_IDENTITY_REFUSED' })
  }
})

test('one that is made for a single start is forgotten sooner', async () => {
  using scene = new Scene()
  await scene.create({ serviceAccount: 'brief', ttlMs: hour, rememberedMs: hour })
  await scene.create({ serviceAccount: 'usual', ttlMs: hour })
  const left = async (): Promise<string> => {
    await scene.create({ serviceAccount: 'new' })
    scene.open()
    return scene.store
      .list()
      .map(({ serviceAccount }) => serviceAccount)
      .filter((name) => name !== 'new')
      .join()
  }
  scene.clock.advance(2 * hour)
  assert.equal(await left(), 'usual,brief')
  scene.clock.advance(1)
  assert.equal(await left(), 'usual')
})

test('what is over is remembered for a week, newest first', async () => {
  using scene = new Scene()
  await scene.create({ serviceAccount: 'first' })
  scene.clock.advance(hour)
  await scene.create({ serviceAccount: 'second' })
  const seen = () =>
    scene.store.list().map(({ serviceAccount, state }) => `${serviceAccount} ${state}`)
  assert.deepEqual(seen(), ['second valid', 'first expired'])
  scene.clock.advance(8 * 24 * hour)
  await scene.create({ serviceAccount: 'third' })
  assert.deepEqual(seen(), ['third valid'])
})

test('who wants another identity than the token gives costs it no use', async () => {
  using scene = new Scene()
  const text = await scene.create()
  const redemption = await scene.store.redeem(text, {
    publicKey: keyOf('a'),
    accepts: ({ namespace }) => namespace === 'bank',
  })
  assert.deepEqual(redemption, { ok: false, reason: 'other-identity' })
  assert.equal(await scene.redeem(text, 'b'), 'admitted')
})
