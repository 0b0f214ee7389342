/** Credentials of a folder: what is served, what is told, and what happens when files change. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { createTestAuthority } from '../../../test/support/test-certificate.ts'
import { silentLog, type Log } from '../../lib/log.ts'
import { unpack } from '../../xds/any.ts'
import { Secret } from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/secret.ts'
import { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import { CredentialSource } from './credential-source.ts'

const authority = await createTestAuthority('partner')
const other = await createTestAuthority('other')
const one = await authority.issue({ dns: ['one'] })
const two = await authority.issue({ dns: ['two'] })
const ended = await authority.issue({ dns: ['old'], notBeforeMs: 0, notAfterMs: 86_400_000 })
const revoked = await authority.revoke([two])

type Files = Readonly<Record<string, string>>

const pairOf = (leaf: { readonly chainPem: string; readonly keyPem: string }): Files => ({
  'api/tls.crt': leaf.chainPem,
  'api/tls.key': leaf.keyPem,
})

class Scene implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'tulle-credential-'))
  readonly clock = new FakeClock(Date.now())
  readonly asked = new Set<string>()
  readonly told: string[] = []
  changes = 0
  readonly source: CredentialSource

  constructor(files: Files = {}, hasFolder = true) {
    this.write(files)
    const tell = (fields: object, message: string) => {
      this.told.push(`${message} ${JSON.stringify(fields)}`)
    }
    const log: Log = { ...silentLog, info: tell, warn: tell }
    this.source = new CredentialSource({
      folder: hasFolder ? this.folder : undefined,
      asked: () => this.asked,
      clock: this.clock,
      log,
    })
    this.source.onChange(() => this.changes++)
  }

  write(files: Files): void {
    for (const [path, text] of Object.entries(files)) {
      const place = join(this.folder, path)
      mkdirSync(dirname(place), { recursive: true })
      writeFileSync(place, text, { mode: 0o600 })
    }
  }

  /** What a sidecar gets that has asked for it. */
  ask(name: string): Secret | undefined {
    this.asked.add(name)
    this.pass()
    const found = this.source.viewOf().resources(typeUrls.secret).get(name)
    return found && unpack(typeUrls.secret, Secret, Any.decode(found.any))
  }

  reasonOf(name: string): string {
    this.ask(name)
    const status = this.source.status().find((each) => each.name === name)
    const [warning] = status?.warnings ?? []
    return (status?.reason ?? warning ?? '').replaceAll(this.folder, 'DIR')
  }

  pass(): void {
    this.clock.advance(500)
  }

  [Symbol.dispose](): void {
    this.source[Symbol.dispose]()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** The texts of a secret: chain and key, or roots and lists. */
function textsOf(secret: Secret | undefined): readonly (string | undefined)[] {
  return sourcesOf(secret).map((source) =>
    source?.specifier?.$case === 'inlineBytes' ? String(source.specifier.value) : undefined,
  )
}

function sourcesOf(secret: Secret | undefined) {
  const { type } = secret ?? {}
  if (type?.$case === 'tlsCertificate') return [type.value.certificateChain, type.value.privateKey]
  if (type?.$case === 'validationContext') return [type.value.trustedCa, type.value.crl]
  return []
}

test('files are served under the names that Istio has for them', () => {
  const ca = authority.rootPem
  const key = 'kubernetes://api'
  const roots = 'kubernetes://api-cacert'
  const table: readonly [Files, string, readonly (string | undefined)[]][] = [
    [pairOf(one), key, [one.chainPem, one.keyPem]],
    [
      { 'api/cert': two.chainPem, 'api/key': two.keyPem, ...pairOf(one) },
      key,
      [two.chainPem, two.keyPem],
    ],
    [{ 'api/cert': two.chainPem, ...pairOf(one) }, key, [one.chainPem, one.keyPem]],
    [{ 'api/ca.crt': ca }, roots, [ca, undefined]],
    [{ 'api/ca.crt': ca, 'api/ca.crl': revoked }, roots, [ca, revoked]],
    [{ 'api/cacert': ca, 'api/crl': revoked }, roots, [ca, revoked]],
    [{ 'api-cacert/ca.crt': ca, 'api/ca.crt': other.rootPem }, roots, [ca, undefined]],
    [{ 'api-cacert/cacert': ca }, roots, [ca, undefined]],
  ]
  for (const [files, name, expected] of table) {
    using scene = new Scene(files)
    assert.deepEqual(textsOf(scene.ask(name)), expected, Object.keys(files).join())
    assert.equal(scene.reasonOf(name), '')
  }
})

test('what cannot be used is told with its file and its reason, and is not served', () => {
  const secret = 'kubernetes://api'
  const table: readonly [Files, string, string][] = [
    [{}, secret, 'DIR/api has no tls.crt and tls.key'],
    [{ 'api/tls.crt': one.chainPem }, secret, 'DIR/api has no tls.crt and tls.key'],
    [{ 'api/ca.crt': authority.rootPem }, secret, 'DIR/api has no tls.crt and tls.key'],
    [
      pairOf({ ...one, keyPem: two.keyPem }),
      secret,
      'DIR/api/tls.key is not the key of DIR/api/tls.crt',
    ],
    [
      pairOf({ ...one, keyPem: 'x' }),
      secret,
      'DIR/api/tls.key holds no private key in PEM without a passphrase',
    ],
    [pairOf({ ...one, chainPem: 'x' }), secret, 'DIR/api/tls.crt holds no certificate in PEM'],
    [
      pairOf({ ...one, chainPem: 'x'.repeat(1_048_577) }),
      secret,
      'DIR/api/tls.crt is longer than 1048576 bytes',
    ],
    [pairOf(one), `${secret}-cacert`, 'DIR/api-cacert or DIR/api has no ca.crt'],
    [{ 'api/ca.crt': '' }, `${secret}-cacert`, 'DIR/api/ca.crt holds no certificate in PEM'],
    [
      { 'api/ca.crt': authority.rootPem, 'api/ca.crl': 'x' },
      `${secret}-cacert`,
      'DIR/api/ca.crl holds no revocation list in PEM',
    ],
  ]
  for (const [files, name, reason] of table) {
    using scene = new Scene(files)
    assert.equal(scene.ask(name), undefined, reason)
    assert.equal(scene.reasonOf(name), reason)
    assert.equal(scene.told.length, 1, 'told once')
  }
})

test('no name leads out of the folder, and a link inside it does', () => {
  using scene = new Scene({ 'in/keep': '', 'api/tls.crt': one.chainPem, 'api/tls.key': one.keyPem })
  using inner = new Scene()
  symlinkSync(join(scene.folder, 'api'), join(inner.folder, 'linked'))
  assert.ok(inner.ask('kubernetes://linked'))
  for (const name of ['../api', '/api', 'in/../api', 'API', '.', '..', '', 'a%2fb', 'in/keep']) {
    assert.equal(scene.ask(`kubernetes://${name}`), undefined, name)
  }
  assert.equal(scene.ask('api'), undefined)
  assert.ok(scene.ask('kubernetes://api'))
})

test('a workload without a folder is told how to be given one', () => {
  using scene = new Scene({}, false)
  assert.equal(scene.ask('kubernetes://api'), undefined)
  assert.match(scene.reasonOf('kubernetes://api'), /tulle run --credentials DIR, or credentials in/)
})

test('a change is pushed, half of one is told, and the last good one stays until it is whole', () => {
  using scene = new Scene(pairOf(one))
  const name = 'kubernetes://api'
  assert.deepEqual(textsOf(scene.ask(name)), [one.chainPem, one.keyPem])
  assert.equal(scene.changes, 1)
  scene.write({ 'api/tls.crt': two.chainPem })
  assert.deepEqual(textsOf(scene.ask(name)), [one.chainPem, one.keyPem])
  assert.deepEqual(
    scene.source.status().map(({ state, isOlderUsed }) => [state, isOlderUsed]),
    [['broken', true]],
  )
  scene.write({ 'api/tls.key': two.keyPem })
  assert.deepEqual(textsOf(scene.ask(name)), [two.chainPem, two.keyPem])
  assert.equal(scene.changes, 2)
  scene.pass()
  assert.equal(scene.changes, 2, 'nothing was written')
  scene.asked.clear()
  scene.pass()
  assert.deepEqual(scene.source.status(), [], 'nobody asks for it any more')
})

test('a key that others may read, and a certificate that has ended, are warnings', () => {
  using scene = new Scene(pairOf(one))
  chmodSync(join(scene.folder, 'api/tls.key'), 0o640)
  assert.ok(scene.ask('kubernetes://api'))
  const reason = scene.reasonOf('kubernetes://api')
  assert.equal(
    reason,
    'DIR/api/tls.key can be read by others than its owner: take the right away (chmod 600)',
  )
  chmodSync(join(scene.folder, 'api/tls.key'), 0o600)
  assert.equal(scene.reasonOf('kubernetes://api'), '')
  scene.write(pairOf(ended))
  assert.match(scene.reasonOf('kubernetes://api'), /api\/tls.crt ended at 1970-01-02/)
})

test('what nobody asks for is not read, and nothing that is told holds a key', () => {
  using scene = new Scene(pairOf({ ...one, keyPem: `${one.keyPem}x`.replace('BEGIN', 'BEGUN') }))
  scene.pass()
  assert.deepEqual(scene.told, [])
  scene.ask('kubernetes://api')
  scene.write(pairOf(one))
  scene.ask('kubernetes://api')
  assert.equal(scene.told.length, 2)
  assert.doesNotMatch(JSON.stringify([scene.told, scene.source.status()]), /PRIVATE|MII|MIG/)
})
