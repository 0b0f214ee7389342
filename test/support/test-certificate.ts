/**
 * Certificates for tests of TLS, made in memory in milliseconds: authorities with or without an intermediate, and leaves
 * with any names and any times, so that each way to be wrong can be written down as data.
 */
// oxlint-disable-next-line import/no-unassigned-import -- it has no exports; the X.509 library needs what it installs
import 'reflect-metadata'
import { randomBytes, webcrypto } from 'node:crypto'

import * as x509 from '@peculiar/x509'

x509.cryptoProvider.set(webcrypto)

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const minuteMs = 60_000

export interface TestAuthority {
  /** Of the root. */
  readonly rootPem: string
  /** Intermediate first; empty when the root signs by itself. */
  readonly chainPem: string
  issue(wish?: LeafWish): Promise<TestLeaf>
  /** Revocation lists of the authority that signs, with these leaves, and of those above it. */
  revoke(leaves: readonly TestLeaf[], wish?: RevocationWish): Promise<string>
}

export interface RevocationWish {
  /** Only that of the authority that signs. */
  readonly ownOnly?: boolean
  readonly nextUpdateMs?: number
}

export interface LeafWish {
  /** `spiffe://…` and other URIs. */
  readonly uris?: readonly string[]
  readonly dns?: readonly string[]
  readonly subject?: string
  readonly notBeforeMs?: number
  readonly notAfterMs?: number
}

export interface TestLeaf {
  /** Leaf, then the intermediate when there is one. */
  readonly chainPem: string
  readonly certificatePem: string
  readonly keyPem: string
}

interface Signer {
  readonly certificate: x509.X509Certificate
  readonly keys: webcrypto.CryptoKeyPair
}

export async function createTestAuthority(
  name = 'root',
  options: { readonly intermediate?: boolean } = {},
): Promise<TestAuthority> {
  const root = await createCa({ subject: `O=${name}`, issuer: undefined })
  const isDeep = options.intermediate ?? true
  const signer = isDeep
    ? await createCa({ subject: `O=${name},CN=intermediate`, issuer: root })
    : root
  const chainPem = isDeep ? pem(signer.certificate) : ''
  return {
    rootPem: pem(root.certificate),
    chainPem,
    issue: (wish = {}) => issueLeaf(signer, chainPem, wish),
    async revoke(leaves, { ownOnly = false, nextUpdateMs } = {}) {
      const above = isDeep && !ownOnly ? [await listOf(root, [], nextUpdateMs)] : []
      return [await listOf(signer, leaves, nextUpdateMs), ...above].join('\n')
    },
  }
}

async function createCa(wish: {
  readonly subject: string
  readonly issuer: Signer | undefined
}): Promise<Signer> {
  const keys = await generateKeys()
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(16).toString('hex'),
    subject: wish.subject,
    issuer: wish.issuer?.certificate.subject ?? wish.subject,
    notBefore: new Date(Date.now() - 60 * minuteMs),
    notAfter: new Date(Date.now() + 24 * 60 * minuteMs),
    publicKey: keys.publicKey,
    signingKey: (wish.issuer?.keys ?? keys).privateKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate, keys }
}

async function listOf(
  signer: Signer,
  leaves: readonly TestLeaf[],
  nextUpdateMs = Date.now() + 60 * minuteMs,
): Promise<string> {
  const list = await x509.X509CrlGenerator.create({
    issuer: signer.certificate.subject,
    thisUpdate: new Date(Date.now() - 2 * 60 * minuteMs),
    nextUpdate: new Date(nextUpdateMs),
    entries: leaves.map(({ certificatePem }) => ({
      serialNumber: new x509.X509Certificate(certificatePem).serialNumber,
      revocationDate: new Date(Date.now() - minuteMs),
      // An entry without extensions would be written with an empty list of them, which BoringSSL refuses.
      reason: x509.X509CrlReason.keyCompromise,
    })),
    signingAlgorithm: algorithm,
    signingKey: signer.keys.privateKey,
  })
  // Under the label that OpenSSL knows.
  return x509.PemConverter.encode(list.rawData, 'X509 CRL')
}

async function issueLeaf(signer: Signer, chainPem: string, wish: LeafWish): Promise<TestLeaf> {
  const keys = await generateKeys()
  const names: x509.JsonGeneralNames = [
    ...(wish.uris ?? []).map((value) => ({ type: 'url' as const, value })),
    ...(wish.dns ?? []).map((value) => ({ type: 'dns' as const, value })),
  ]
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(16).toString('hex'),
    subject: wish.subject ?? '',
    issuer: signer.certificate.subject,
    notBefore: new Date(wish.notBeforeMs ?? Date.now() - 2 * minuteMs),
    notAfter: new Date(wish.notAfterMs ?? Date.now() + 60 * minuteMs),
    publicKey: keys.publicKey,
    signingKey: signer.keys.privateKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment,
        true,
      ),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names, true)]),
    ],
  })
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  const keyPem = x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')
  const certificatePem = pem(certificate)
  return { certificatePem, chainPem: certificatePem + chainPem, keyPem: `${keyPem}\n` }
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`
}
