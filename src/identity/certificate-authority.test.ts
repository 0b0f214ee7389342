/** The authority: what it signs, what it refuses, its rotation, and that a kill at any moment does no harm. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { eventually } from '../../test/support/eventually.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { IdentityScene, openCa } from '../../test/support/identity-scene.ts'
import { findProgram, skipUnless } from '../../test/support/programs.ts'
import type { Log } from '../lib/log.ts'
import { silentLog } from '../lib/log.ts'
import { readRights } from './certificate.ts'
import { createCsr, createWorkloadKey } from './key-and-csr.ts'
import { spiffeIdOf } from './spiffe-id.ts'
import { verifyPeerChain } from './trust-bundle.ts'

const day = 86_400_000
const someId = spiffeIdOf({ trustDomain: 'cluster.local', namespace: 'a', serviceAccount: 'b' })
const openssl = findProgram('openssl')

test(
  'openssl agrees that a chain is good, and what stands in it',
  { skip: skipUnless(openssl, 'openssl') },
  async () => {
    await using scene = await IdentityScene.open()
    const { signed } = await scene.workload('shop/cart')
    const path = (name: string) => join(scene.folder, name)
    const [leaf = '', intermediate = '', roots = ''] = signed.chain
    writeFileSync(path('leaf.pem'), leaf)
    writeFileSync(path('intermediate.pem'), intermediate)
    writeFileSync(path('roots.pem'), roots)
    const verify = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', path('roots.pem')]
    const said = execFileSync('openssl', [
      ...verify,
      '-untrusted',
      path('intermediate.pem'),
      path('leaf.pem'),
    ])
    assert.match(said.toString(), /leaf.pem: OK/)
    const text = execFileSync('openssl', [
      'x509',
      '-in',
      path('leaf.pem'),
      '-noout',
      '-text',
    ]).toString()
    assert.match(
      text,
      /Subject Alternative Name: critical\s+URI:spiffe:\/\/cluster.local\/ns\/shop\/sa\/cart\n/,
    )
    assert.match(text, /Basic Constraints: critical\s+CA:FALSE/)
    assert.match(text, /TLS Web Server Authentication, TLS Web Client Authentication/)
    assert.match(text, /NIST CURVE: P-256/)
  },
)

test('a leaf lives a day, and begins two minutes ago for clocks that are late', async () => {
  const clock = new FakeClock()
  await using scene = await IdentityScene.open({ clock })
  const { signed } = await scene.workload()
  assert.equal(signed.notBeforeMs, clock.nowMs() - 120_000)
  assert.equal(signed.notAfterMs, clock.nowMs() + day)
})

test('a longer life than the ceiling is cut, and a shorter one is given', async () => {
  const clock = new FakeClock()
  await using scene = await IdentityScene.open({ clock, leafLifetimeMsMax: 2 * day })
  const [long, short] = await Promise.all([
    scene.workload('a/b', { ttlMs: 400 * day }),
    scene.workload('a/b', { ttlMs: 20_000 }),
  ])
  assert.equal(long.signed.notAfterMs, clock.nowMs() + 2 * day)
  assert.equal(short.signed.notAfterMs, clock.nowMs() + 20_000)
})

test('nothing is taken from a request but its key', async () => {
  await using scene = await IdentityScene.open()
  const { key } = await createWorkloadKey()
  const asked = spiffeIdOf({
    trustDomain: 'evil',
    namespace: 'kube-system',
    serviceAccount: 'root',
  })
  const csrPem = createCsr(key, asked)
  const signed = await scene.ca.sign({ csrPem, spiffeId: someId, via: 'test' })
  const leaf = new X509Certificate(signed.chain[0] ?? '')
  assert.deepEqual(readRights(leaf).uris, [someId])
  assert.equal(leaf.subject ?? '', '')
  assert.ok(createPublicKey(key).equals(leaf.publicKey))
})

test('a certificate is bound to the WorkloadGroup that the caller was admitted for', async () => {
  await using scene = await IdentityScene.open()
  const { chain } = await scene.workload('a/b', { workloadGroup: 'my-group' })
  const verdict = verifyPeerChain(chain, scene.ca.bundle, { nowMs: Date.now() })
  assert.equal(verdict.ok && verdict.workloadGroup, 'my-group')
})

const ed25519 = generateKeyPairSync('ed25519').privateKey
const weakRsa = generateKeyPairSync('rsa', { modulusLength: 1_024 }).privateKey

test('requests that cannot be trusted are refused', async () => {
  await using scene = await IdentityScene.open()
  const { key } = await createWorkloadKey()
  const good = createCsr(key, someId)
  const body = Buffer.from(good.split('\n').slice(1, -2).join(''), 'base64')
  const forged = Buffer.from(body)
  const at = forged.indexOf('spiffe')
  forged[at + 30] = (forged[at + 30] ?? 0) ^ 1
  const pem = (der: Buffer) =>
    `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['nothing', '', /is no PEM/],
    ['noise', pem(Buffer.from('noise')), /cannot be read/],
    ['another signature', pem(forged), /not signed by the key/],
    ['a certificate', String(scene.ca.roots()[0]?.pem), /is no PEM/],
    ['much', good.padEnd(20_000), /expected at most 16384/],
    ['a short RSA key', createCsr(weakRsa, someId), /RSA of 1024 bits/],
  ]
  for (const [name, csrPem, message] of cases) {
    const signing = scene.ca.sign({ csrPem, spiffeId: someId, via: 'test' })
    await assert.rejects(signing, { code: 'MESH_IDENTITY_INVALID', message }, name)
  }
  assert.throws(() => createCsr(ed25519, someId), { code: 'MESH_IDENTITY_INVALID' })
})

test('keys are readable by their owner only', async () => {
  await using scene = await IdentityScene.open()
  const ca = join(scene.folder, 'ca')
  assert.equal(statSync(ca).mode & 0o777, 0o700)
  const [root] = scene.ca.roots()
  for (const name of readdirSync(join(ca, root?.id ?? ''))) {
    assert.equal(statSync(join(ca, root?.id ?? '', name)).mode & 0o777, 0o600, name)
  }
})

test('an authority that is opened again has the same root and signs on', async () => {
  await using scene = await IdentityScene.open()
  const before = scene.ca.roots()
  await scene.ca[Symbol.asyncDispose]()
  await using again = await openCa({ folder: join(scene.folder, 'ca') })
  assert.deepEqual(again.roots(), before)
})

test('the authorities are found again when the state file was lost', async () => {
  await using scene = await IdentityScene.open()
  const before = scene.ca.roots()
  await scene.ca[Symbol.asyncDispose]()
  rmSync(join(scene.folder, 'ca/ca.json'))
  await using again = await openCa({ folder: join(scene.folder, 'ca') })
  assert.equal(again.roots()[0]?.fingerprint, before[0]?.fingerprint)
})

test('a root is changed by add, use and drop, and old and new certificates are good in between', async () => {
  await using scene = await IdentityScene.open()
  const verify = (chain: readonly X509Certificate[]) => {
    const verdict = verifyPeerChain(chain, scene.ca.bundle, { nowMs: Date.now() })
    return verdict.ok ? 'good' : verdict.reason
  }
  const [first] = scene.ca.roots()
  const old = await scene.workload()
  const added = await scene.ca.addRoot()
  assert.equal(verify((await scene.workload()).chain), 'good')
  assert.equal(scene.ca.roots()[0]?.id, first?.id)
  scene.ca.useRoot(added.id)
  const renewed = await scene.workload()
  assert.deepEqual([verify(old.chain), verify(renewed.chain)], ['good', 'good'])
  assert.equal(scene.ca.roots()[0]?.id, added.id)
  assert.throws(() => scene.ca.dropRoot(added.id), { code: 'MESH_IDENTITY_REFUSED' })
  scene.ca.dropRoot(first?.id ?? '')
  assert.deepEqual([verify(old.chain), verify(renewed.chain)], ['unknown-ca', 'good'])
  assert.equal(existsSync(join(scene.folder, 'ca', first?.id ?? '')), false)
})

test('an intermediate near its end is made anew by the same root', async () => {
  const clock = new FakeClock()
  await using scene = await IdentityScene.open({ clock, intermediateLifetimeMs: 10 * day })
  const before = scene.ca.roots()[0]
  clock.advance(9 * day)
  const { chain } = await scene.workload()
  const after = scene.ca.roots()[0]
  assert.equal(after?.fingerprint, before?.fingerprint)
  assert.ok((after?.signingNotAfterMs ?? 0) > (before?.signingNotAfterMs ?? 0) + day)
  assert.equal(verifyPeerChain(chain, scene.ca.bundle, { nowMs: clock.nowMs() }).ok, true)
})

test('no certificate outlives the one that signed it', async () => {
  const clock = new FakeClock()
  const lifetimes = { rootLifetimeMs: 10 * day, intermediateLifetimeMs: 20 * day }
  await using scene = await IdentityScene.open({ clock, ...lifetimes })
  const { signed } = await scene.workload('a/b', { ttlMs: 60 * day })
  assert.equal(signed.notAfterMs, scene.ca.roots()[0]?.notAfterMs)
  clock.advance(11 * day)
  await assert.rejects(scene.workload(), { code: 'MESH_CA_UNAVAILABLE' })
})

test('every root that the mesh believes comes in the last element of the answer', async () => {
  await using scene = await IdentityScene.open()
  await scene.ca.addRoot()
  const { signed } = await scene.workload()
  const roots = scene.ca.roots().map(({ pem }) => pem)
  assert.equal(signed.chain.length, 3)
  assert.equal(signed.chain.at(-1), roots.join(''))
})

/** Istio's folder, made by openssl as a person would. */
function makeCacerts(folder: string): void {
  mkdirSync(folder, { recursive: true })
  const run = (...words: string[]) =>
    execFileSync('openssl', words, { cwd: folder, stdio: 'ignore' })
  const ca = [
    '-addext',
    'basicConstraints=critical,CA:true',
    '-addext',
    'keyUsage=critical,keyCertSign',
  ]
  run(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'root-key.pem',
    '-out',
    'root-cert.pem',
    '-days',
    '100',
    '-subj',
    '/O=Us/CN=Our root',
    ...ca,
  )
  run(
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'ca-key.pem',
    '-out',
    'ca.csr',
    '-subj',
    '/O=Us/CN=Our intermediate',
  )
  writeFileSync(
    join(folder, 'ext'),
    'basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,keyCertSign\n',
  )
  run(
    'x509',
    '-req',
    '-in',
    'ca.csr',
    '-CA',
    'root-cert.pem',
    '-CAkey',
    'root-key.pem',
    '-CAcreateserial',
    '-days',
    '50',
    '-extfile',
    'ext',
    '-out',
    'ca-cert.pem',
  )
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  writeFileSync(join(folder, 'cert-chain.pem'), read('ca-cert.pem') + read('root-cert.pem'))
  chmodSync(join(folder, 'ca-key.pem'), 0o644)
}

test(
  'a plugged authority with the names of Istio signs',
  { skip: skipUnless(openssl, 'openssl') },
  async () => {
    const pluggedFolder = mkdtempSync(join(tmpdir(), 'tulle-cacerts-'))
    makeCacerts(pluggedFolder)
    const warned: string[] = []
    const log: Log = { ...silentLog, warn: (_fields, message) => warned.push(message) }
    await using scene = await IdentityScene.open({ pluggedFolder, log })
    const { chain, signed } = await scene.workload()
    assert.equal(signed.chain.length, 3)
    assert.match(chain[0]?.issuer ?? '', /Our intermediate/)
    assert.equal(verifyPeerChain(chain, scene.ca.bundle, { nowMs: Date.now() }).ok, true)
    assert.deepEqual(warned, ['this key can be read by others than its owner: chmod 600'])
    rmSync(pluggedFolder, { recursive: true })
  },
)

test(
  'an authority that is plugged in later is believed, and signs when it is told to',
  { skip: skipUnless(openssl, 'openssl') },
  async () => {
    await using scene = await IdentityScene.open()
    const [own] = scene.ca.roots()
    await scene.ca[Symbol.asyncDispose]()
    const pluggedFolder = join(scene.folder, 'cacerts')
    makeCacerts(pluggedFolder)
    await using ca = await openCa({ folder: join(scene.folder, 'ca'), pluggedFolder })
    const [signing, plugged] = ca.roots()
    assert.deepEqual([signing?.id, plugged?.kind], [own?.id, 'plugged'])
    ca.useRoot(plugged?.id ?? '')
    ca.dropRoot(own?.id ?? '')
    assert.deepEqual(
      ca.roots().map(({ kind }) => kind),
      ['plugged'],
    )
  },
)

test(
  'a plugged key that is not that of its certificate is refused',
  { skip: skipUnless(openssl, 'openssl') },
  async () => {
    const pluggedFolder = mkdtempSync(join(tmpdir(), 'tulle-cacerts-'))
    makeCacerts(pluggedFolder)
    writeFileSync(
      join(pluggedFolder, 'ca-key.pem'),
      readFileSync(join(pluggedFolder, 'root-key.pem')),
    )
    await assert.rejects(IdentityScene.open({ pluggedFolder }), { code: 'MESH_IDENTITY_INVALID' })
    rmSync(pluggedFolder, { recursive: true })
  },
)

/** Signs without pause and prints each serial once it has the certificate. */
const signer = join(import.meta.dirname, '../../test/support/signing-process.ts')

test('killed while it signs, it repeats no serial, loses no key, and has each certificate in its book', async () => {
  await using scene = await IdentityScene.open()
  const folder = join(scene.folder, 'ca')
  const [root] = scene.ca.roots()
  await scene.ca[Symbol.asyncDispose]()
  const seen: string[] = []
  for (let round = 0; round < 4; round++) {
    const child = spawn(process.execPath, [signer, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      // At another moment of its work each time.
      if (text.split('\n').length > 10 + round * 7) child.kill('SIGKILL')
    })
    await once(child, 'close')
    seen.push(...text.split('\n').slice(0, -1))
  }
  assert.ok(seen.length >= 40)
  assert.equal(new Set(seen).size, seen.length)
  const book = readFileSync(join(folder, 'issued.jsonl'), 'utf8')
  const booked = [...book.matchAll(/"serial":"([0-9a-f]+)"/g)].map((match) => match[1])
  assert.equal(new Set(booked).size, booked.length)
  assert.deepEqual(
    seen.filter((serial) => !booked.includes(serial)),
    [],
  )
  await using again = await openCa({ folder })
  assert.equal(again.roots()[0]?.fingerprint, root?.fingerprint)
})

test('killed while it makes its first root, it starts with one whole root', async () => {
  const isThere = (folder: string, pattern: RegExp) =>
    existsSync(folder) && readdirSync(folder).some((name) => pattern.test(name))
  for (const pattern of [/^issued/, /^new-/, /^[0-9a-f]{12}$/, /^ca.json.new$/]) {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-ca-'))
    const child = spawn(process.execPath, [signer, folder], { stdio: 'ignore' })
    const closed = once(child, 'close')
    // The moment may pass unseen; then it is killed when it has started.
    await eventually(() => isThere(folder, pattern) || isThere(folder, /^ca.json$/), {
      intervalMs: 0,
    })
    child.kill('SIGKILL')
    await closed
    await using ca = await openCa({ folder })
    assert.equal(ca.roots().length, 1)
    assert.equal(isThere(folder, /^new-/), false)
    rmSync(folder, { recursive: true })
  }
})
