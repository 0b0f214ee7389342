/** Who gets which certificate from a running control plane, what a node may claim, and that no secret leaks. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { exportJWK, generateKeyPair, SignJWT } from 'jose'

import { readRights } from '../../src/identity/certificate.ts'
import { createWorkloadKey } from '../../src/identity/key-and-csr.ts'
import { eventually } from '../support/eventually.ts'
import { IdentityControlPlane, type HeldCertificate } from '../support/identity-control-plane.ts'
import { findProgram, skipUnless } from '../support/programs.ts'

const config = `
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: cart-v1, namespace: shop }
spec:
  metadata: { labels: { app: cart, version: v1 } }
  template: { serviceAccount: cart }
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: bank, namespace: shop }
spec:
  metadata: { labels: { app: bank } }
  template: { serviceAccount: bank }
`

const nodeId = (name: string, namespace = 'shop') =>
  `sidecar~127.0.0.1~${name}.${namespace}~${namespace}.svc.cluster.local`

const urisOf = ({ leaf }: HeldCertificate) => readRights(leaf).uris

async function countOf(scene: IdentityControlPlane, series: string): Promise<number> {
  const line = (await scene.metrics()).split('\n').find((text) => text.startsWith(`${series} `))
  return Number(line?.split(' ')[1] ?? 0)
}

test('a token gives a certificate for whom it was made for, and that certificate renews itself', async () => {
  await using scene = await IdentityControlPlane.open(config)
  const first = await scene.certificate({ token: await scene.token({ group: 'cart-v1' }) })
  const renewed = await scene.certificate({ current: first })
  for (const held of [first, renewed]) {
    assert.deepEqual(urisOf(held), ['spiffe://cluster.local/ns/shop/sa/cart'])
    assert.equal(readRights(held.leaf).workloadGroup, 'cart-v1')
  }
  assert.notEqual(first.leaf.serialNumber, renewed.leaf.serialNumber)
  assert.equal(await countOf(scene, 'citadel_server_success_cert_issuance_count'), 2)
})

test('a token that is used up, expired, revoked, forged or for another namespace gives nothing', async () => {
  await using scene = await IdentityControlPlane.open(config)
  const used = await scene.token()
  await scene.certificate({ token: used })
  assert.match(await scene.refusal({ token: used }), /token-used-up/)

  const short = await scene.token({ ttlSeconds: 0.05 })
  await eventually(async () => (await scene.owner('GET /tokens')).body.items[0].state === 'expired')
  assert.match(await scene.refusal({ token: short }), /token-expired/)

  const revoked = await scene.token()
  await scene.owner(`DELETE /tokens/${revoked.split('.')[1]}`)
  assert.match(await scene.refusal({ token: revoked }), /token-revoked/)

  const good = await scene.token()
  const [form, id, secret = '', hash] = good.split('.')
  const forged = [form, id, 'x'.repeat(secret.length), hash].join('.')
  assert.match(await scene.refusal({ token: forged }), /token-unknown/)
  assert.match(await scene.refusal({ token: 'tulle-1.x' }), /token-malformed/)

  assert.match(await scene.refusal({ token: good, as: 'bank/cart' }), /other-identity/)
  assert.match(await scene.refusal({ token: good, as: 'shop/bank' }), /other-identity/)
  await scene.certificate({ token: good })
  const series = (reason: string) =>
    `citadel_server_authentication_failure_count{reason="${reason}"}`
  assert.equal(await countOf(scene, series('token-used-up')), 1)
  assert.equal(await countOf(scene, series('other-identity')), 2)
})

test('no proof, a foreign certificate and somebody else’s name give nothing', async () => {
  await using scene = await IdentityControlPlane.open(config)
  await using other = await IdentityControlPlane.open(config)
  assert.match(await scene.refusal({}), /no-proof/)
  assert.match(await scene.refusal({ token: 'eyJhbGciOiJub25lIn0.e30.' }), /unknown-token/)
  const held = await scene.certificate({ token: await scene.token() })
  assert.match(await scene.refusal({ current: held, as: 'shop/bank' }), /other-identity/)
  const metadata = { ImpersonatedIdentity: 'spiffe://cluster.local/ns/shop/sa/bank' }
  assert.match(await scene.refusal({ current: held, metadata }), /impersonation/)
  const foreign = await other.certificate({ token: await other.token() })
  const mixed = { ...foreign, rootsPem: held.rootsPem }
  assert.match(await scene.refusal({ current: mixed }), /unknown-ca/)
})

test('a certificate that was refused does not stand in the way of a good token', async () => {
  await using scene = await IdentityControlPlane.open(config)
  await using other = await IdentityControlPlane.open(config)
  const foreign = await other.certificate({ token: await other.token() })
  const token = await scene.token()
  const { body } = await scene.owner('GET /roots')
  const current = { ...foreign, rootsPem: body.items[0].pem as string }
  assert.deepEqual(urisOf(await scene.certificate({ current, token })), [
    'spiffe://cluster.local/ns/shop/sa/cart',
  ])
})

test('a JWT of a configured issuer gives the service account that it names', async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const issuer = 'https://kubernetes.default.svc'
  await using scene = await IdentityControlPlane.open(config)
  const jwks = join(scene.folder, 'jwks.json')
  writeFileSync(jwks, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), alg: 'ES256' }] }))
  await scene.controlPlane.close()
  await using again = await IdentityControlPlane.open(config, {
    identity: { jwtIssuers: [{ issuer, audiences: ['istio-ca'], jwks }] },
  })
  const token = await new SignJWT({ sub: 'system:serviceaccount:shop:cart' })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(issuer)
    .setAudience('istio-ca')
    .setExpirationTime('1h')
    .sign(privateKey)
  assert.deepEqual(urisOf(await again.certificate({ token })), [
    'spiffe://cluster.local/ns/shop/sa/cart',
  ])
  assert.match(await again.refusal({ token, as: 'shop/bank' }), /other-identity/)
  assert.match(await again.refusal({ token: `${token.slice(0, -4)}AAAA` }), /jwt-invalid/)
})

test('who lost the answer asks again with the same key and token', async () => {
  await using scene = await IdentityControlPlane.open(config)
  const token = await scene.token()
  const key = await createWorkloadKey()
  const [first, second] = await Promise.all([
    scene.certificate({ token, key }),
    scene.certificate({ token, key }),
  ])
  assert.notEqual(first.leaf.serialNumber, second.leaf.serialNumber)
  assert.match(await scene.refusal({ token }), /token-used-up/)
})

test('a node is what its certificate says, also where it says nothing', async () => {
  await using scene = await IdentityControlPlane.open(config)
  const held = await scene.certificate({ token: await scene.token({ group: 'cart-v1' }) })
  using peer = scene.connect(held, nodeId('cart-1'), {})
  await peer.next()
  const answer = await fetch(
    `${scene.controlPlane.apiUrl}/apis/tulle.dev/v1alpha1/namespaces/shop/workloads/cart-1`,
  )
  const { metadata, status } = (await answer.json()) as {
    metadata: { labels: object }
    status: { serviceAccount: string }
  }
  assert.equal(status.serviceAccount, 'cart')
  assert.deepEqual(metadata.labels, { app: 'cart', version: 'v1' })
})

test('a node that claims more than its certificate gives is refused and counted', async () => {
  await using scene = await IdentityControlPlane.open(config)
  const bound = await scene.certificate({ token: await scene.token({ group: 'cart-v1' }) })
  const free = await scene.certificate({ token: await scene.token() })
  const cases: readonly (readonly [string, HeldCertificate, string, object])[] = [
    ['namespace', bound, nodeId('a', 'bank'), {}],
    ['namespace', bound, nodeId('a'), { NAMESPACE: 'bank' }],
    ['service-account', bound, nodeId('a'), { SERVICE_ACCOUNT: 'bank' }],
    ['group', bound, nodeId('a'), { AUTO_REGISTER_GROUP: 'bank' }],
    ['group', free, nodeId('a'), { AUTO_REGISTER_GROUP: 'bank' }],
    ['label', bound, nodeId('a'), { LABELS: { app: 'bank' } }],
    ['label', bound, nodeId('a'), { LABELS: { tier: 'front' } }],
    ['label', free, nodeId('a'), { AUTO_REGISTER_GROUP: 'cart-v1', LABELS: { version: 'v2' } }],
    ['service', bound, nodeId('a'), { SERVICE: 'bank' }],
  ]
  for (const [reason, held, id, metadata] of cases) {
    const before = await countOf(scene, `tulle_xds_refused_joins{reason="${reason}"}`)
    using peer = scene.connect(held, id, metadata)
    const { code, message } = await peer.closed
    assert.equal(`${code} ${message.split(': ')[1]}`, `7 ${reason}`)
    assert.equal(await countOf(scene, `tulle_xds_refused_joins{reason="${reason}"}`), before + 1)
  }
  assert.ok(scene.lines.some((line) => line.includes('a node claims too much')))
})

test('a node id stays with the identity that holds it while it is connected', async () => {
  await using scene = await IdentityControlPlane.open(config)
  const cart = await scene.certificate({ token: await scene.token() })
  const bank = await scene.certificate({
    token: await scene.token({ serviceAccount: 'bank' }),
    as: 'shop/bank',
  })
  using first = scene.connect(cart, nodeId('a'), {})
  await first.next()
  using second = scene.connect(bank, nodeId('a'), {})
  assert.match((await second.closed).message, /id-taken/)
  using again = scene.connect(cart, nodeId('a'), {})
  await again.next()
})

test('the roots change under a connected workload that renews, and cut off one that does not', async () => {
  await using scene = await IdentityControlPlane.open(config)
  const before = await scene.certificate({ token: await scene.token() })
  using stale = scene.connect(before, nodeId('stale'), {})
  await stale.next()
  const { body: added } = await scene.owner('POST /roots', {})
  const { body: roots } = await scene.owner('GET /roots')
  assert.deepEqual(
    roots.items.map(({ signs }: { signs: boolean }) => signs),
    [true, false],
  )
  const old = roots.items[0].id as string
  assert.equal((await scene.owner(`DELETE /roots/${old}`)).status, 400)
  // Who has not learnt of the new root would not believe the control plane's own certificate any more.
  const learnt = await scene.certificate({ current: before })
  assert.equal((await scene.owner(`POST /roots/${added.id}/use?force=true`)).body.signs, true)
  const renewed = await scene.certificate({ current: learnt })
  using fresh = scene.connect(renewed, nodeId('fresh'), {})
  await fresh.next()
  await scene.owner(`DELETE /roots/${old}?force=true`)
  assert.equal((await stale.closed).code, 14)
  assert.match(
    await scene.refusal({ current: { ...before, rootsPem: renewed.rootsPem } }),
    /unknown-ca/,
  )
  await scene.certificate({ current: renewed })
})

test('of two control planes on one state the second does not start', async () => {
  await using scene = await IdentityControlPlane.open(config)
  await assert.rejects(scene.start(), { code: 'MESH_LISTEN_FAILED' })
  await scene.certificate({ token: await scene.token() })
})

test('a restart keeps root and tokens, and needs nothing from workloads', async () => {
  await using scene = await IdentityControlPlane.open(config)
  const held = await scene.certificate({ token: await scene.token() })
  const left = await scene.token({ uses: 2 })
  const port = Number(scene.controlPlane.xdsAddress.split(':')[1])
  await scene.controlPlane.close()
  await using again = await scene.start({ xds: { host: '127.0.0.1', port } })
  assert.equal(again.xdsAddress, `127.0.0.1:${port}`)
  await scene.certificate({ current: held })
  await scene.certificate({ token: left })
})

test('xDS without TLS is offered on loopback only', async () => {
  await using scene = await IdentityControlPlane.open(config)
  const open = scene.start({ plaintextXds: { host: '0.0.0.0', port: 0 } })
  await assert.rejects(open, { code: 'MESH_USAGE' })
})

test('a workload that joins by the hand-over gets a token for a minute and one certificate', async () => {
  await using scene = await IdentityControlPlane.open(config)
  const { body } = await scene.owner('POST /token', { namespace: 'shop', serviceAccount: 'cart' })
  await scene.certificate({ token: body.token as string })
  const [token] = (await scene.owner('GET /tokens')).body.items
  assert.deepEqual([token.state, token.usesMax, token.madeBy], ['used-up', 1, 'hand-over'])
  assert.equal(Date.parse(token.expiresAt) - Date.parse(token.createdAt), 60_000)
})

test('calls of the owner that make no sense are refused by name', async () => {
  await using scene = await IdentityControlPlane.open(config)
  const wish = { namespace: 'a', serviceAccount: 'b', ttlSeconds: 60, uses: 1 }
  const cases: readonly (readonly [string, object | undefined, RegExp])[] = [
    ['POST /tokens', { ...wish, namespace: undefined }, /namespace: is missing/],
    ['POST /tokens', { ...wish, serviceAccount: 'a/b' }, /is not a SPIFFE id/],
    ['POST /tokens', { ...wish, group: 'A B' }, /no name of a WorkloadGroup/],
    ['POST /tokens', { ...wish, ttlSeconds: 1e9 }, /ttlSeconds: must be/],
    ['POST /tokens', { ...wish, uses: 0 }, /uses: must be/],
    ['POST /tokens', { ...wish, uses: 1.5 }, /uses/],
    ['DELETE /tokens/nobody', undefined, /there is no token/],
    ['POST /roots/nobody/use', {}, /no root has an id/],
    ['POST /roots', { folder: '/nowhere' }, /is missing/],
  ]
  for (const [target, body, message] of cases) {
    const answer = await scene.owner(target, body)
    assert.equal(answer.status, 400, target)
    assert.match(answer.body.message as string, message)
  }
  assert.equal((await scene.owner('GET /secrets')).status, 404)
})

const openssl = findProgram('openssl')

test(
  'openssl believes the control plane by the roots that it shows',
  { skip: skipUnless(openssl, 'openssl') },
  async () => {
    await using scene = await IdentityControlPlane.open(config)
    const path = join(scene.folder, 'roots.pem')
    writeFileSync(path, (await scene.owner('GET /roots')).body.items[0].pem as string)
    const { xdsAddress } = scene.controlPlane
    const words = [
      's_client',
      '-connect',
      xdsAddress,
      '-CAfile',
      path,
      '-verify_return_error',
      '-verify_hostname',
      'localhost',
      '-alpn',
      'h2',
      '-tls1_3',
    ]
    const child = spawn('openssl', words, { stdio: ['pipe', 'pipe', 'pipe'] })
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    await eventually(() => /Verify return code/.test(said))
    child.stdin.end()
    child.kill()
    assert.match(said, /Verify return code: 0 \(ok\)/)
    assert.match(said, /ALPN protocol: h2/)
    assert.match(said, /TLSv1.3/)
  },
)

/** Every file below a folder, but those whose purpose is to hold a key. */
function textsBelow(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/^(root-key|signing)\.pem$/.test(entry.name))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n')
}

test('no log, metric, answer or file holds a token or a key', async () => {
  await using scene = await IdentityControlPlane.open(config)
  const tokens = [await scene.token({ uses: 2 }), await scene.token(), await scene.token()]
  const [used = '', refused = '', left = ''] = tokens
  const held = await scene.certificate({ token: used })
  await scene.refusal({ token: refused, as: 'bank/x' })
  await scene.refusal({ token: `${left}x` })
  using peer = scene.connect(held, nodeId('a'), { LABELS: { app: 'cart' } })
  await peer.next()
  await scene.owner('POST /roots', {})
  const { apiUrl } = scene.controlPlane
  const paths = [
    '/metrics',
    '/apis/tulle.dev/v1alpha1/proxies',
    '/apis/tulle.dev/v1alpha1/workloads',
  ]
  const api = await Promise.all(paths.map(async (path) => (await fetch(apiUrl + path)).text()))
  const owner = await Promise.all(
    ['GET /tokens', 'GET /roots', 'GET /check'].map(
      async (target) => (await scene.owner(target)).text,
    ),
  )
  const said = [...scene.lines, ...api, ...owner, textsBelow(join(scene.folder, 'state'))].join(
    '\n',
  )
  assert.ok(said.includes('certificate given') && said.includes('join token made'))
  for (const token of tokens) assert.equal(said.includes(token.split('.')[2] ?? '?'), false)
  assert.doesNotMatch(said, /PRIVATE KEY/)
})

test('nobody but the owner may enter the state of the authority', async () => {
  await using scene = await IdentityControlPlane.open(config)
  const modeOf = (path: string) => statSync(path).mode & 0o777
  assert.equal(modeOf(join(scene.folder, 'state')), 0o700)
  assert.equal(modeOf(join(scene.folder, 'state/ca')), 0o700)
  assert.equal(modeOf(scene.controlPlane.handOver), 0o600)
})
