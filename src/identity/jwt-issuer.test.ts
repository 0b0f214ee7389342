/** JWTs as a proof of identity: Kubernetes' and others, and all that is wrong with a token. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'

import { FakeClock } from '../../test/support/fake-clock.ts'
import { createJwtVerifier, type JwtIssuer, type JwtVerdict } from './jwt-issuer.ts'

const issuer = 'https://kubernetes.default.svc.cluster.local'
const clock = new FakeClock()
const folder = mkdtempSync(join(tmpdir(), 'tulle-jwt-'))
after(() => rmSync(folder, { recursive: true }))

const { privateKey, publicKey } = await generateKeyPair('ES256')
const other = await generateKeyPair('ES256')
const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] }
const path = join(folder, 'jwks.json')
writeFileSync(path, JSON.stringify(jwks))

const kubernetes: JwtIssuer = { issuer, audiences: ['istio-ca'], jwks: path }
const seconds = () => Math.floor(clock.nowMs() / 1_000)

const claims = {
  iss: issuer,
  aud: ['istio-ca'],
  sub: 'system:serviceaccount:shop:cart',
  exp: seconds() + 3_600,
  'kubernetes.io': { namespace: 'shop', serviceaccount: { name: 'cart' } },
}

function signed(fields: object = {}, key = privateKey): Promise<string> {
  return new SignJWT({ ...claims, ...fields })
    .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
    .sign(key)
}

const textOf = (verdict: JwtVerdict) =>
  verdict.ok ? `${verdict.namespace}/${verdict.serviceAccount}` : verdict.reason

async function verify(token: string, ...issuers: JwtIssuer[]): Promise<string> {
  const list = issuers.length === 0 ? [kubernetes] : issuers
  return textOf(await createJwtVerifier({ issuers: list, clock }).verify(token))
}

test('a service account of Kubernetes is who its token says, bound or not', async () => {
  assert.equal(await verify(await signed()), 'shop/cart')
  assert.equal(await verify(await signed({ 'kubernetes.io': undefined })), 'shop/cart')
})

test('a token that is not ours to believe is refused, each for its reason', async () => {
  assert.equal(await verify(await signed({ iss: 'https://evil.example' })), 'unknown-issuer')
  assert.equal(await verify(await signed({ aud: ['vault'] })), 'invalid')
  assert.equal(await verify(await signed({ exp: seconds() - 61 })), 'expired')
  assert.equal(await verify(await signed({ exp: undefined })), 'invalid')
  assert.equal(await verify(await signed({ nbf: seconds() + 600 })), 'invalid')
  assert.equal(await verify(await signed({}, other.privateKey)), 'invalid')
  assert.equal(await verify(new UnsecuredJWT(claims).encode()), 'invalid')
  assert.equal(await verify('tulle-1.nothing'), 'malformed')
  assert.equal(await verify(await signed({ pad: 'x'.repeat(20_000) })), 'malformed')
})

test('a token signed with the public key as a shared secret is refused', async () => {
  const secret = new TextEncoder().encode(JSON.stringify(jwks.keys[0]))
  const token = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
    .sign(secret)
  assert.equal(await verify(token), 'invalid')
})

test('claims that name nobody, or two, are refused', async () => {
  assert.equal(await verify(await signed({ sub: 'admin' })), 'no-identity')
  assert.equal(
    await verify(await signed({ sub: 'system:serviceaccount:shop:cart:x' })),
    'no-identity',
  )
  const elsewhere = { namespace: 'kube-system', serviceaccount: { name: 'cart' } }
  assert.equal(await verify(await signed({ 'kubernetes.io': elsewhere })), 'no-identity')
})

test('an issuer that is no cluster names the claims that count', async () => {
  const own = {
    ...kubernetes,
    namespaceClaim: 'mesh.namespace',
    serviceAccountClaim: 'mesh.account',
  }
  const mesh = { namespace: 'ci', account: 'runner' }
  assert.equal(await verify(await signed({ mesh }), own), 'ci/runner')
  assert.equal(await verify(await signed({ mesh: { namespace: 'ci' } }), own), 'no-identity')
  assert.equal(await verify(await signed(), own), 'no-identity')
})

test('keys are fetched from a URL, and found by the issuer’s discovery document', async () => {
  const server = createServer((request, response) => {
    const isDiscovery = request.url === '/.well-known/openid-configuration'
    response.end(JSON.stringify(isDiscovery ? { issuer: url, jwks_uri: `${url}/keys` } : jwks))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    const token = await signed({ iss: url })
    assert.equal(
      await verify(token, { issuer: url, audiences: ['istio-ca'], jwks: `${url}/keys` }),
      'shop/cart',
    )
    assert.equal(await verify(token, { issuer: url, audiences: ['istio-ca'] }), 'shop/cart')
  } finally {
    server.close()
    server.closeAllConnections()
  }
})

test('an issuer that cannot be meant so is refused at the start', () => {
  const wrong: readonly JwtIssuer[] = [
    { issuer: '', audiences: ['a'], jwks: path },
    { issuer, audiences: [], jwks: path },
    { issuer, audiences: ['a'], jwks: 'http://keys.example/jwks' },
    { issuer: 'not a url', audiences: ['a'] },
    { issuer, audiences: ['a'], jwks: path, namespaceClaim: 'ns' },
  ]
  for (const one of wrong) {
    assert.throws(() => createJwtVerifier({ issuers: [one], clock }), {
      code: 'MESH_IDENTITY_INVALID',
    })
  }
})
