/** Which chains a peer may come with: each refusal has its reason, and nothing else is let through. */
import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { test } from 'node:test'

import { FakeClock } from '../../test/support/fake-clock.ts'
import { IdentityScene } from '../../test/support/identity-scene.ts'
import { readCertificates } from './certificate.ts'
import { createAuthorityKey, keyPem, spkiOf } from './create-certificate.ts'
import { parseSpiffeId } from './spiffe-id.ts'
import { clockSkewMs, TrustBundle, verifyPeerChain, type PeerVerdict } from './trust-bundle.ts'
import { loadX509 } from './x509-library.ts'

const day = 86_400_000
const nowMs = Date.now()

const reasonOf = (verdict: PeerVerdict) => (verdict.ok ? verdict.spiffeId : verdict.reason)

/** A root of its own and whatever leaf a test wants, made without the authority's care. */
async function createWildLeaf(options: {
  readonly names?: readonly { readonly type: 'url' | 'dns'; readonly value: string }[]
  readonly isCa?: boolean
  readonly usages?: readonly string[]
  readonly criticalOid?: string
  readonly hash?: string
  /** Undefined: the root signs. */
  readonly intermediate?: 'authority' | 'no-authority' | 'too-deep'
}) {
  const x509 = await loadX509()
  const validity = { notBefore: new Date(nowMs - day), notAfter: new Date(nowMs + day) }
  const algorithm = { name: 'ECDSA', hash: options.hash ?? 'SHA-256' }
  const crypto = (key: ReturnType<typeof createPrivateKey>) =>
    key.toCryptoKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
  const rootKey = await createAuthorityKey()
  const root = await x509.X509CertificateGenerator.create({
    ...validity,
    serialNumber: '01',
    subject: 'CN=wild root',
    issuer: 'CN=wild root',
    publicKey: new x509.PublicKey(spkiOf(rootKey)),
    signingKey: crypto(rootKey),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [
      new x509.BasicConstraintsExtension(true, options.intermediate === 'too-deep' ? 0 : 1, true),
    ],
  })
  const middleKey = await createAuthorityKey()
  const middle = await x509.X509CertificateGenerator.create({
    ...validity,
    serialNumber: '02',
    subject: 'CN=wild intermediate',
    issuer: 'CN=wild root',
    publicKey: new x509.PublicKey(spkiOf(middleKey)),
    signingKey: crypto(rootKey),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [
      new x509.BasicConstraintsExtension(options.intermediate !== 'no-authority', undefined, true),
    ],
  })
  const isDirect = options.intermediate === undefined
  const names = options.names ?? [{ type: 'url', value: 'spiffe://cluster.local/ns/a/sa/b' }]
  const leaf = await x509.X509CertificateGenerator.create({
    ...validity,
    serialNumber: '03',
    subject: '',
    issuer: isDirect ? 'CN=wild root' : 'CN=wild intermediate',
    publicKey: new x509.PublicKey(spkiOf(await createAuthorityKey())),
    signingKey: crypto(isDirect ? rootKey : middleKey),
    signingAlgorithm: algorithm,
    extensions: [
      ...(options.isCa === true ? [new x509.BasicConstraintsExtension(true)] : []),
      ...(options.usages === undefined
        ? []
        : [new x509.ExtendedKeyUsageExtension([...options.usages])]),
      ...(options.criticalOid === undefined
        ? []
        : [new x509.Extension(options.criticalOid, true, new Uint8Array([5, 0]))]),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension([...names])]),
    ],
  })
  const bundle = new TrustBundle({ 'cluster.local': root.toString('pem') })
  const chain = [leaf, ...(isDirect ? [] : [middle])].map(
    (one) => new X509Certificate(one.toString('pem')),
  )
  return { bundle, chain }
}

async function reasonOfWild(options: Parameters<typeof createWildLeaf>[0]): Promise<string> {
  const { bundle, chain } = await createWildLeaf(options)
  return reasonOf(verifyPeerChain(chain, bundle, { nowMs, role: 'client' }))
}

test("a workload's chain is good, as certificates and as PEM", async () => {
  await using scene = await IdentityScene.open()
  const { chain, chainPem } = await scene.workload('shop/cart')
  for (const given of [chain, chainPem]) {
    const verdict = verifyPeerChain(given, scene.ca.bundle, { nowMs, role: 'server' })
    assert.equal(reasonOf(verdict), 'spiffe://cluster.local/ns/shop/sa/cart')
  }
})

test('a root at the end of the chain, or order turned round above the leaf, does no harm', async () => {
  await using scene = await IdentityScene.open()
  const { chain } = await scene.workload()
  const [leaf, ...above] = [...chain, ...scene.ca.bundle.rootsOf('cluster.local')]
  const turned = [leaf, ...above.reverse()].filter((one) => one !== undefined)
  assert.equal(verifyPeerChain(turned, scene.ca.bundle, { nowMs }).ok, true)
})

test('no certificate is refused as that', async () => {
  await using scene = await IdentityScene.open()
  for (const nothing of [[], '']) {
    assert.equal(reasonOf(verifyPeerChain(nothing, scene.ca.bundle, { nowMs })), 'no-certificate')
  }
})

test('a certificate of another authority with the same names is of an unknown one', async () => {
  await using scene = await IdentityScene.open()
  await using other = await IdentityScene.open()
  const { chain } = await other.workload()
  assert.equal(reasonOf(verifyPeerChain(chain, scene.ca.bundle, { nowMs })), 'unknown-ca')
})

test('a root speaks for its own trust domain only, though both are believed', async () => {
  await using ours = await IdentityScene.open()
  await using theirs = await IdentityScene.open({ trustDomain: 'partner.example' })
  const bundle = new TrustBundle({
    'cluster.local': ours.ca.bundle.rootsOf('cluster.local'),
    'partner.example': theirs.ca.bundle.rootsOf('partner.example'),
  })
  const honest = await theirs.workload()
  assert.equal(verifyPeerChain(honest.chain, bundle, { nowMs }).ok, true)
  const spiffeId = parseSpiffeId('spiffe://cluster.local/ns/default/sa/default')?.id
  assert.ok(spiffeId)
  const lying = await theirs.workload('a/b', { spiffeId })
  assert.equal(reasonOf(verifyPeerChain(lying.chain, bundle, { nowMs })), 'wrong-trust-domain')
})

test('a trust domain that nobody told us of is the wrong one', async () => {
  await using scene = await IdentityScene.open()
  const spiffeId = parseSpiffeId('spiffe://elsewhere/ns/a/sa/b')?.id
  assert.ok(spiffeId)
  const { chain } = await scene.workload('a/b', { spiffeId })
  assert.equal(reasonOf(verifyPeerChain(chain, scene.ca.bundle, { nowMs })), 'wrong-trust-domain')
})

test('an alias of the trust domain is believed by the same roots', async () => {
  await using scene = await IdentityScene.open({ trustDomainAliases: ['old.example'] })
  const spiffeId = parseSpiffeId('spiffe://old.example/ns/a/sa/b')?.id
  assert.ok(spiffeId)
  const { chain } = await scene.workload('a/b', { spiffeId })
  assert.equal(verifyPeerChain(chain, scene.ca.bundle, { nowMs }).ok, true)
})

test('time is looked at each time, with an allowance for clocks', async () => {
  const clock = new FakeClock()
  await using scene = await IdentityScene.open({ clock })
  const { chain, signed } = await scene.workload('a/b', { ttlMs: 20_000 })
  const at = (ms: number, skewMs = 0) =>
    reasonOf(verifyPeerChain(chain, scene.ca.bundle, { nowMs: ms, skewMs }))
  const good = 'spiffe://cluster.local/ns/a/sa/b'
  assert.equal(at(signed.notAfterMs), good)
  assert.equal(at(signed.notAfterMs + 1), 'expired')
  assert.equal(at(signed.notAfterMs + clockSkewMs, clockSkewMs), good)
  assert.equal(at(signed.notBeforeMs - 1), 'not-yet-valid')
  assert.equal(at(signed.notBeforeMs - 1, clockSkewMs), good)
})

test('an expired certificate of an unknown authority is told as of an unknown one', async () => {
  await using scene = await IdentityScene.open()
  await using other = await IdentityScene.open()
  const { chain } = await other.workload()
  const verdict = verifyPeerChain(chain, scene.ca.bundle, { nowMs: nowMs + 2 * day })
  assert.equal(reasonOf(verdict), 'unknown-ca')
})

test('only the ids that are expected will do, where some are', async () => {
  await using scene = await IdentityScene.open()
  const { chain, spiffeId } = await scene.workload('shop/cart')
  const verify = (...expected: string[]) =>
    reasonOf(verifyPeerChain(chain, scene.ca.bundle, { nowMs, expected: new Set(expected) }))
  assert.equal(verify('spiffe://cluster.local/ns/shop/sa/other', spiffeId), spiffeId)
  assert.equal(verify('spiffe://cluster.local/ns/shop/sa/other'), 'san-mismatch')
  assert.equal(verify(), 'san-mismatch')
})

test('exactly one URI, and a SPIFFE id, names a peer', async () => {
  const url = (value: string) => ({ type: 'url', value }) as const
  const good = url('spiffe://cluster.local/ns/a/sa/b')
  const no = 'no-spiffe-san'
  assert.equal(await reasonOfWild({ names: [good] }), good.value)
  assert.equal(await reasonOfWild({ names: [] }), no)
  assert.equal(await reasonOfWild({ names: [{ type: 'dns', value: 'a.b' }] }), no)
  assert.equal(await reasonOfWild({ names: [good, url('spiffe://cluster.local/ns/a/sa/c')] }), no)
  assert.equal(await reasonOfWild({ names: [good, url('https://a.b/')] }), no)
  assert.equal(await reasonOfWild({ names: [url(`${good.value}\0.evil`)] }), no)
  assert.equal(await reasonOfWild({ names: [url('https://cluster.local/ns/a/sa/b')] }), no)
})

test('a chain must be one by the rules of X.509', async () => {
  const good = 'spiffe://cluster.local/ns/a/sa/b'
  assert.equal(await reasonOfWild({ intermediate: 'authority' }), good)
  assert.equal(await reasonOfWild({ intermediate: 'no-authority' }), 'invalid-chain')
  assert.equal(await reasonOfWild({ intermediate: 'too-deep' }), 'invalid-chain')
  assert.equal(await reasonOfWild({ isCa: true }), 'invalid-chain')
  assert.equal(await reasonOfWild({ usages: ['1.3.6.1.5.5.7.3.1'] }), 'invalid-chain')
  assert.equal(await reasonOfWild({ usages: ['1.3.6.1.5.5.7.3.2'] }), good)
  assert.equal(await reasonOfWild({ criticalOid: '1.2.3.4' }), 'invalid-chain')
  assert.equal(await reasonOfWild({ hash: 'SHA-1' }), 'invalid-chain')
})

test("a workload's certificate signs nobody", async () => {
  await using scene = await IdentityScene.open()
  const attacker = await scene.workload('a/attacker')
  const x509 = await loadX509()
  const key = createPrivateKey(keyPem(attacker.key))
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: '09',
    subject: '',
    issuer: '',
    notBefore: new Date(nowMs - 1_000),
    notAfter: new Date(nowMs + day),
    publicKey: new x509.PublicKey(
      spkiOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
    ),
    signingKey: key.toCryptoKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: 'spiffe://cluster.local/ns/a/sa/admin' },
      ]),
    ],
  })
  const chain = [...readCertificates(leaf.toString('pem')), ...attacker.chain]
  const verdict = verifyPeerChain(chain, scene.ca.bundle, { nowMs })
  assert.notEqual(reasonOf(verdict), 'spiffe://cluster.local/ns/a/sa/admin')
  assert.equal(verdict.ok, false)
})

test('the leaf alone will do once its chain was good: a resumed session brings no more', async () => {
  await using scene = await IdentityScene.open()
  const [first, second] = await Promise.all([scene.workload(), scene.workload()])
  const verify = (chain: readonly X509Certificate[]) =>
    verifyPeerChain(chain, scene.ca.bundle, { nowMs }).ok
  assert.equal(verify(second.chain.slice(0, 1)), false)
  assert.equal(verify(first.chain), true)
  assert.equal(verify(second.chain.slice(0, 1)), true)
})

test('text that is no certificate is refused, and never thrown', async () => {
  await using scene = await IdentityScene.open()
  const junk = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
  assert.equal(reasonOf(verifyPeerChain(junk, scene.ca.bundle, { nowMs })), 'invalid-chain')
})

test('a certificate whose issuer has no name is one of an unknown authority', async () => {
  const x509 = await loadX509()
  const key = await createAuthorityKey()
  const nameless = await x509.X509CertificateGenerator.create({
    notBefore: new Date(nowMs - day),
    notAfter: new Date(nowMs + day),
    serialNumber: '04',
    subject: '',
    issuer: '',
    publicKey: new x509.PublicKey(spkiOf(key)),
    signingKey: key.toCryptoKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: 'spiffe://cluster.local/ns/a/sa/b' },
      ]),
    ],
  })
  const verdict = verifyPeerChain(nameless.toString('pem'), new TrustBundle({}), { nowMs })
  assert.equal(reasonOf(verdict), 'unknown-ca')
})
